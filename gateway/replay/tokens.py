"""One line of an alarm script as words: quotes, comments, Chinese words for the usual ones. Pure; knows no meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

_TOKEN: Final = re.compile(r'"([^"]*)"|“([^”]*)”|((?:="[^"]*"|=“[^”]*”|[^\s"“])+)')
_COMMENT: Final = re.compile(r'(?:^|(?<=\s))#(?=(?:[^"]*"[^"]*")*[^"]*$).*')

_WORDS: Final[Mapping[str, str]] = {
    "点": "point",
    "设备": "device",
    "物料平衡": "balance",
    "轮询": "polled",
    "等待": "wait",
    "重启": "restart",
    "时钟": "clock",
    "网关": "gateway",
    "正常": "well",
    "限值": "limits",
    "确认": "ack",
    "复位": "reset",
    "搁置": "shelve",
    "取消搁置": "unshelve",
    "停用": "out_of_service",
    "投用": "in_service",
    "试验": "test",
    "结束试验": "end_test",
    "历时": "for",
    "由": "by",
    "好": "good",
    "可疑": "uncertain",
    "坏": "bad",
    "报警": "raise",
    "升级": "escalate",
    "降级": "deescalate",
    "恢复": "clear",
    "无": "nothing",
}
"""Words that may be said in Chinese."""


def uncommented(line: str) -> str:
    """A line without its comment; a ``#`` within a word (1#罐) begins none."""
    return _COMMENT.sub("", line).rstrip()


def tokens_of(text: str) -> list[str]:
    """Words and quoted texts; a word that may be said in Chinese becomes the usual one."""
    found = []
    for match in _TOKEN.finditer(text):
        quoted = match[1] if match[1] is not None else match[2]
        found.append(_WORDS.get(match[3], match[3]) if quoted is None else quoted)
    return [_unquoted(token) for token in found]


def _unquoted(token: str) -> str:
    name, equals, value = token.partition("=")
    return f"{name}={value.strip(chr(34) + '“”')}" if equals else token


def readings_of(tokens: list[str]) -> Iterator[list[str]]:
    """Readings of one line, which commas part, a blank behind them or not."""
    part: list[str] = []
    for token in tokens:
        for count, word in enumerate(re.split("[,，]", token)):
            if count and part:
                yield part
                part = []
            if word:
                part.append(_WORDS.get(word, word))
    if part:
        yield part
