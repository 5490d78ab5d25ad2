"""English details and the gateway's own conditions, as a technician reads them."""

from __future__ import annotations

import pytest

from gateway.details import condition, spoken


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("10.0.0.1:502: Connect call failed ('10.0.0.1', 502)", "连接不上 10.0.0.1:502"),
        ("[Errno 111] Connect call failed ('::1', 502, 0, 0)", "连接不上 ::1:502"),
        ("10.0.0.1:502: Connection refused", "10.0.0.1:502: 连接被拒绝"),
        ("10.0.0.1:502: No route to host", "没有到主机的路由"),
        ("10.0.0.1:502: no connection within 3 s", "3 秒内没有连上"),
        ("opc.tcp://h:4840: no answer in time", "opc.tcp://h:4840: 没有按时应答"),
        ("it has no points: not read", "没有点，不读取"),
        ("unit 7: no answer in time", "站号 7 没有按时应答"),
        (
            "/p/gw.pem ends in 28 days on 2026-12-20 03:00 UTC",
            "/p/gw.pem 还有 28 天到期（2026-12-20 03:00 UTC）",
        ),
        (
            "/p/gw.pem ends in 5 days on 2026-12-20 03:00 UTC, renew it now",
            "/p/gw.pem 还有 5 天到期（2026-12-20 03:00 UTC），请立即更换",
        ),
        ("/p/gw.pem has expired on 2026-12-20 03:00 UTC", "/p/gw.pem 已于 2026-12-20 03:00 UTC 过期"),
        ("the clock is not synchronised: no time server", "时钟没有同步：没有对时服务器"),
        ("no time server, the clock may be wrong by 1 s or more", "没有对时服务器，误差可能达到 1 秒或更多"),
        ("no time server for 24 h", "没有对时服务器已 24 小时"),
        ("2 of 9 nodes refused: A (BadNodeIdUnknown)", "9 个节点中有 2 个被拒绝：A (BadNodeIdUnknown)"),
        ("no encryption, no check of whom we talk to (insecure = true)", "不加密"),
        (
            "the server's certificate is not trusted: it shows AA, trusted is none",
            "不信任服务器的证书：它出示 AA，没有信任任何证书",
        ),
        (
            "level says -1.25 m3, flows say +0 m3 in 10 min: 1.25 m3 apart",
            "10 分钟内：按液位变化 -1.25 m3，按流量变化 +0 m3，相差 1.25 m3",
        ),
        (
            "/dev/gpiochip0 line 17: no such chip; see ls /dev/gpiochip* and mend chip",
            "/dev/gpiochip0 line 17: 没有这个 GPIO 芯片；用 ls /dev/gpiochip* 查看，改正 chip",
        ),
        ("hangs: no end within 10 s", "卡住：10 秒内没有完成"),
    ],
)
def test_known_details_are_chinese_for_a_chinese_reader_only(english: str, chinese: str) -> None:
    assert chinese in spoken(english, "zh")
    assert spoken(english, "en") == english


def test_what_is_unknown_stays_as_it_is() -> None:
    assert spoken("odd \\1 thing", "zh") == "odd \\1 thing"
    assert condition("moon/far", "zh") == "moon/far"


@pytest.mark.parametrize(
    ("name", "chinese", "english"),
    [
        ("source-warning/gds2", "设备 gds2 的警告", "warning of device gds2"),
        ("camera/cam2", "摄像头 cam2 无画面", "no picture from camera cam2"),
        ("recipient/province", "上报 province 中断", "no delivery to province"),
        ("rejected/province", "province 拒收数据", "province rejects data"),
        ("output/siren", "本地输出 siren 失败", "local output siren failed"),
        ("storage", "存储已满", "the storage is full"),
        ("disk", "磁盘不能写入", "the disk cannot be written"),
        ("clock", "时钟不可信", "the clock cannot be trusted"),
        (
            "certificate/city",
            "上报 city 的证书即将到期或已过期",
            "a certificate of city is about to end, or has ended",
        ),
        (
            "certificate-urgent/city",
            "上报 city 的证书 7 天内到期或已过期，请立即更换",
            "a certificate of city ends within 7 days, or has ended: renew it now",
        ),
    ],
)
def test_a_condition_of_the_gateway_says_what_it_means(name: str, chinese: str, english: str) -> None:
    assert (condition(name, "zh"), condition(name, "en")) == (chinese, english)
