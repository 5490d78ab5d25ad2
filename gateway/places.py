"""TOML bytes -> values, and where each key stands. Pure; knows no key's meaning.

tomllib gives values without places, and a mistake without a line is a riddle. This walks statements, not
values: keys inside inline tables and elements of arrays count as standing where their statement begins.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final, TypeAlias

from gateway.words import said

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys from the top, with an index behind an array of tables: ``("device", 0, "host")``."""

_STRING: Final = r'"""(?:\\.|[^\\])*?"""|' + r"'''.*?'''" + r'|"(?:\\.|[^"\\\n])*"' + r"|'[^'\n]*'"
_SPACE: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART: Final = re.compile(rf"[ \t]*({_STRING}|[A-Za-z0-9_-]+)[ \t]*(\.?)", re.DOTALL)
_VALUE_PIECE: Final = re.compile(rf"{_STRING}|#[^\n]*|[\[{{]|[\]}}]|\n|.", re.DOTALL)


def _key(text: str, at: int) -> tuple[list[str], int]:
    parts: list[str] = []
    while match := _KEY_PART.match(text, at):
        part = match.group(1)
        parts.append(part[1:-1] if part[0] in "\"'" else part)
        at = match.end()
        if not match.group(2):
            break
    return parts, at


def _after_value(text: str, at: int) -> int:
    depth = 0
    for match in _VALUE_PIECE.finditer(text, at):
        piece = match.group()
        if piece in "[{":
            depth += 1
        elif piece in "]}":
            depth -= 1
        elif piece == "\n" and depth == 0:
            return match.start()
    return len(text)


_SYNTAX_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_SYNTAX_ZH: Final = {
    "Expected '='": "键后面缺少等号 =",
    "Invalid value": "等号后面的值写法不对（文字要加英文双引号，真假写 true/false）",
    "Expected newline": "值后面有多余的内容",
    "Expected ']": "节名缺少右方括号 ]",
    'Expected "\'"': "引号没有成对",
    "Expected '\"'": "引号没有成对",
    "Unterminated string": "引号没有成对",
    "Unescaped '\\'": "双引号里的反斜杠要写成两个，或改用单引号",
    "Illegal character": "有不允许的字符，或引号没有成对",
    "Cannot overwrite": "这个键已经写过了",
    "Cannot declare": "这一节已经写过了",
    "Duplicate inline": "这个键已经写过了",
    "Unclosed array": "缺少右方括号 ] 或逗号",
    "Unclosed inline": "缺少右花括号 } 或逗号",
    "Invalid statement": "这里要写 键 = 值（键用英文）",
}


class Places:
    """Line and column, both from 1, of the keys and tables of one valid TOML text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at: dict[KeyPath, int] = {}
        self._rows: dict[KeyPath, int] = {}
        table: KeyPath = ()
        at = _SPACE.match(text).end()  # type: ignore[union-attr]  # the pattern also matches nothing
        while at < len(text):
            start = at
            brackets = 2 if text.startswith("[[", at) else 1 if text[at] == "[" else 0
            parts, at = _key(text, at + brackets)
            if brackets:
                table = self._table(parts, new_row=brackets == 2)
                self._at.setdefault(table, start)
                at = text.find("\n", at)
                at = len(text) if at < 0 else at
            else:
                for depth in range(1, len(parts) + 1):
                    self._at.setdefault((*table, *parts[:depth]), start)
                at = _after_value(text, text.index("=", at) + 1)
            at = _SPACE.match(text, at).end()  # type: ignore[union-attr]

    def _table(self, parts: list[str], *, new_row: bool) -> KeyPath:
        path: KeyPath = ()
        for depth, part in enumerate(parts):
            path = (*path, part)
            if new_row and depth == len(parts) - 1:
                self._rows[path] = self._rows.get(path, -1) + 1
            if path in self._rows:
                path = (*path, self._rows[path])
        return path

    def where(self, path: KeyPath) -> tuple[int, int]:
        """Line and column of a key; of the nearest table around it where the key itself does not stand."""
        while path and path not in self._at:
            path = path[:-1]
        return line_and_column(self._text, self._at.get(path, 0))


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of a character."""
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


def parse(content: bytes, file: str) -> tuple[dict[str, Any], Places]:
    """The values of a TOML file, and the places of its keys.

    Raises:
        UserFacingError: it is not UTF-8, or not TOML.
    """
    try:
        # tomllib wants bare newlines; a BOM is what Notepad puts first.
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
        return tomllib.loads(text), Places(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise said("E-CONFIG-ENCODING", f"{file}:{line}") from error
    except tomllib.TOMLDecodeError as error:
        english = str(error)
        match = _SYNTAX_PLACE.search(english)
        line, column = line_and_column(text, len(text.rstrip()))
        if match and match.group(1):
            line, column = int(match.group(1)), int(match.group(2))
        english = _SYNTAX_PLACE.sub("", english)
        chinese = next((zh for start, zh in _SYNTAX_ZH.items() if english.startswith(start)), english)
        place = f"{file}:{line}:{column}"
        raise said("E-CONFIG-SYNTAX", place, zh=chinese, en=english) from error
