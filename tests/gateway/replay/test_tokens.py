import pytest

from gateway.replay.tokens import readings_of, tokens_of, uncommented


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("10s LT-101 80.0", ["10s", "LT-101", "80.0"]),
        ('ack LT-1/high by 王工 "阀门 已关"', ["ack", "LT-1/high", "by", "王工", "阀门 已关"]),
        ("确认 LT-1/high 由 王工 “阀门 已关”", ["ack", "LT-1/high", "by", "王工", "阀门 已关"]),
        ('description="1#储罐 液位" h=80', ["description=1#储罐 液位", "h=80"]),
        ('by 王工 ""', ["by", "王工", ""]),
        ("reason=“修 好”", ["reason=修 好"]),
        ('"确认"', ["确认"]),
        ("", []),
    ],
)
def test_words_and_quoted_texts(text, tokens):
    assert tokens_of(text) == tokens


@pytest.mark.parametrize(
    ("line", "bare"),
    [
        ("# 标题", ""),
        ("10s LT-1 80   # high", "10s LT-1 80"),
        ("point LT-1 description=1#罐", "point LT-1 description=1#罐"),
        ('10s ack LT-1 by 王工 "见 # 3"', '10s ack LT-1 by 王工 "见 # 3"'),
        ('10s ack LT-1 by 王工 "好" # "x"', '10s ack LT-1 by 王工 "好"'),
    ],
)
def test_a_comment_begins_a_line_or_follows_a_blank_outside_quotes(line, bare):
    assert uncommented(line) == bare


def test_commas_part_the_readings_of_one_line():
    words = tokens_of("LT-1 80, LT-2 坏 comm，LT-3 5 uncertain")
    assert list(readings_of(words)) == [
        ["LT-1", "80"],
        ["LT-2", "bad", "comm"],
        ["LT-3", "5", "uncertain"],
    ]
