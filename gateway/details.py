"""What drivers and the gateway's own parts say in English (it is the log's language), said in Chinese. Pure.

One table of the texts that people meet most often; what it does not know stays as it is.
"""

from __future__ import annotations

import re
from typing import Final

_CONDITIONS: Final[dict[str, tuple[str, str]]] = {
    "camera": ("摄像头 {} 无画面", "no picture from camera {}"),
    "certificate": ("上报 {} 的证书即将到期或已过期", "a certificate of {} is about to end, or has ended"),
    "certificate-urgent": (
        "上报 {} 的证书 7 天内到期或已过期，请立即更换",
        "a certificate of {} ends within 7 days, or has ended: renew it now",
    ),
    "certificates": ("不能检查证书", "the certificates cannot be looked at"),
    "clock": ("时钟不可信", "the clock cannot be trusted"),
    "disk": ("磁盘不能写入", "the disk cannot be written"),
    "order-refused": ("拒收 {} 的下行消息", "messages from {} are refused"),
    "output": ("本地输出 {} 失败", "local output {} failed"),
    "recipient": ("上报 {} 中断", "no delivery to {}"),
    "rejected": ("{} 拒收数据", "{} rejects data"),
    "source-warning": ("设备 {} 的警告", "warning of device {}"),
    "storage": ("存储已满", "the storage is full"),
}
"""Parts of the gateway that raise alarms of their own, by the first word of their name."""

_PHRASES: Final = tuple(
    (re.compile(pattern), chinese)
    for pattern, chinese in (
        (r"\[Errno \d+\] ", ""),
        (r"its signature is not of the certificate of this recipient", "签名不是该接收方证书的"),
        (r"orders_certificate cannot be read: ", "读不到 orders_certificate："),
        (
            r"orders_certificate holds no valid P-256 certificate: ",
            "orders_certificate 中没有有效的 P-256 证书：",
        ),
        (r"its id was used before, with another content", "编号已用过，内容却不同"),
        (r"it was issued too long ago", "发布时间太早"),
        (r"it was issued in the future", "发布时间在将来"),
        (r"it is meant for another gateway", "不是发给本网关的"),
        (r"(\d+) of this recipient are unanswered already", r"该方已有 \1 条未反馈"),
        (r"nothing is acknowledged", "没有收到对方的确认"),
        (r"the broker refuses the down channel: ", "代理服务器不许订阅下行主题："),
        # asyncio names the address that cannot be connected; a driver names it before, too.
        (r"Connect call failed \('([^']+)', (\d+)(?:, \d+)*\)", r"连接不上 \1:\2（被拒绝或无应答）"),
        (r"Multiple exceptions: ", "多个地址都不行："),
        (r"[Cc]onnection refused", "连接被拒绝"),
        (r"[Cc]onnection reset by peer", "连接被对方中断"),
        (r"[Cc]onnection lost: closed by the device", "设备关闭了连接"),
        (r"[Cc]onnection lost", "连接中断"),
        (r"No route to host", "没有到主机的路由"),
        (r"Network is unreachable", "网络不可达"),
        (r"Name or service not known|Temporary failure in name resolution", "名称无法解析"),
        (r"[Cc]onnection timed out|[Tt]imed out", "超时"),
        (r"Broken pipe", "连接已断开"),
        (r"no such chip; see (.*) and mend chip", r"没有这个 GPIO 芯片；用 \1 查看，改正 chip"),
        (
            r"this is no GPIO chip, or it is gone; see (.*) and mend chip",
            r"这不是 GPIO 芯片，或已拔出；用 \1 查看，改正 chip",
        ),
        (r"this is no GPIO chip; see (.*) and mend chip", r"这不是 GPIO 芯片；用 \1 查看，改正 chip"),
        (
            r"not allowed; put the gateway's user into the group that owns the chip",
            "没有权限；把网关的用户加入芯片所属的组",
        ),
        (r"the line is held by another; see gpioinfo", "这条线被别的程序占用；用 gpioinfo 查看"),
        (
            r"the chip has no such line; see gpioinfo and mend line",
            "芯片没有这条线；用 gpioinfo 查看，改正 line",
        ),
        (r"libgpiod is missing \((.*)\); install the package gpiod", r"缺少 libgpiod（\1）；请安装 gpiod"),
        (r"hangs: no end within (\d+) s", r"卡住：\1 秒内没有完成"),
        (r"No such file or directory|No such device", "没有这个文件或设备"),
        (r"Permission denied", "没有权限"),
        (r"no connection within ([\d.]+) s", r"\1 秒内没有连上"),
        (r"no answer within ([\d.]+) s", r"\1 秒内没有应答"),
        (r"unit (\d+): no answer in time", r"站号 \1 没有按时应答"),
        (r"no answer in time", "没有按时应答"),
        (r"not connected yet", "还没有连上"),
        (r"it has no points: not read", "没有点，不读取"),
        (r"(\d+) of (\d+) nodes refused: ", r"\2 个节点中有 \1 个被拒绝："),
        (r"the server's certificate is not trusted: it shows ", "不信任服务器的证书：它出示 "),
        (r", trusted is none", "，没有信任任何证书"),
        (r", trusted is ", "，信任的是 "),
        (r"(\S+) ends in (\d+) days on (.*?), renew it now$", r"\1 还有 \2 天到期（\3），请立即更换"),
        (r"(\S+) ends in (\d+) days on (.*)$", r"\1 还有 \2 天到期（\3）"),
        (r"(\S+) has expired on (.*)$", r"\1 已于 \2 过期"),
        (r"the clock is not synchronised: no time server", "时钟没有同步：没有对时服务器"),
        (
            r"no time server, the clock may be wrong by ([\d.]+) s or more",
            r"没有对时服务器，误差可能达到 \1 秒或更多",
        ),
        (r"no time server for (\d+) h", r"没有对时服务器已 \1 小时"),
        (r"the server's certificate has expired", "服务器的证书已过期"),
        (r"the server's certificate is not valid yet", "服务器的证书尚未生效"),
        (
            r"no encryption, no check of whom we talk to \(insecure = true\)",
            "不加密，也不核对对方身份（insecure = true）",
        ),
        (r"the server answers ", "服务器应答 "),
        (r"the server's answer makes no sense", "看不懂服务器的应答"),
        (r"garbled answer", "应答错乱"),
        (
            r"level says (\S+) m3, flows say (\S+) m3 in (\S+) min: (\S+) m3 apart",
            r"\3 分钟内：按液位变化 \1 m3，按流量变化 \2 m3，相差 \4 m3",
        ),
        (r"the camera refuses the user name or password", "摄像头不接受用户名或密码"),
        (r"the camera does not allow this user its stream", "摄像头不许该用户取流"),
        (r"the camera has no such stream", "摄像头没有这个码流"),
        (r"the camera refuses the connection", "摄像头拒绝连接"),
        (r"there is no way to the camera", "没有到摄像头的路由"),
        (r"the camera's name is not known", "摄像头的名称无法解析"),
        (r"the camera does not answer", "摄像头没有应答"),
        (r"the camera ended the stream", "摄像头中断了码流"),
    )
)
"""In this order: a longer phrase before one that it contains."""


def spoken(detail: str, language: str) -> str:
    """A detail in a language: its known phrases in Chinese, the rest, and names and numbers, as they are."""
    if language == "zh":
        for pattern, chinese in _PHRASES:
            detail = pattern.sub(chinese, detail)
    return detail


def condition(name: str, language: str) -> str:
    """What it means that a part of the gateway (``camera/cam2``) is not well; an unknown one as it is."""
    kind, _, whose = name.partition("/")
    if kind not in _CONDITIONS:
        return name
    return _CONDITIONS[kind][0 if language == "zh" else 1].format(whose)
