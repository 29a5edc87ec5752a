"""The comment: bounded, and nothing inside it can break out of it."""

import re

import pytest

from localcloud.review.base import Base
from localcloud.review.compare import compare
from localcloud.review.shapes import StackReview
from localcloud.review.text import LIMIT, MARK, code, comment
from tests.unit.review.sides import part, side

BASE = Base(ref="main", commit="0123456789abcdef")
QUEUE = "azure-native:storage:Queue"
BUCKET = "aws:s3/bucket:Bucket"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "`plain`"),
        ("a`b", "``a`b``"),
        ("`", "`` ` ``"),
        ("a|b\n# c", "`a¦b # c`"),
        ("", "`  `"),
    ],
)
def test_code_cannot_be_left(text: str, expected: str) -> None:
    assert code(text) == expected


def test_risks_come_first_and_say_whether_anything_stops_them() -> None:
    reviews = [
        compare("dev", side(part(QUEUE, "q"), part(BUCKET, "b")), side(part(QUEUE, "q", inputs={"queueName": "z"}))),
        compare("prod", side(part(QUEUE, "q", protect=True)), side()),
    ]

    text = comment(BASE, reviews)

    assert text.startswith(MARK)
    assert text.index("[!CAUTION]") < text.index("| stack |") < text.index("Stack dev")
    told = [line for line in text.splitlines() if line.startswith("> - ")]
    assert [line.split("**")[1] for line in told] == ["DELETE", "DELETE", "REPLACE"]
    assert "nothing stops `pulumi up`" in told[0]
    assert "Protected: `pulumi up` refuses" in told[1]
    assert "because of `queueName`" in told[2]


def test_a_new_stack_and_one_that_went() -> None:
    text = comment(BASE, [compare("eu", None, side(part(QUEUE, "q"))), compare("old", side(), None)])
    assert "| eu (new) | 1 |" in text
    assert "stays until `pulumi destroy`" in text


def test_refusals_are_shown_and_cannot_end_their_block() -> None:
    text = comment(
        BASE,
        [
            StackReview(stack="dev", state="refused", refused=["no ``` way\nout"]),
            StackReview(stack="prod", state="base_refused", refused=["it was broken"]),
        ],
    )
    assert "````text\nno ``` way\nout\n````" in text
    assert "this program would not go up" in text
    assert "compared commit's own preview is refused; this one's passes" in text


def test_names_and_values_are_code_wherever_they_stand() -> None:
    evil = "`<img src=x>` @everyone"
    base, head = side(part(QUEUE, evil)), side(roles=[(evil, evil, evil, evil)], settings={evil: evil}, outputs=[evil])

    text = comment(BASE, [compare("prod", base, head)])

    assert text.count("@everyone") > 5
    for line in text.splitlines():
        outside = re.sub(r"(`+).*?(?<!`)\1(?!`)", "", line)
        assert "@everyone" not in outside, line


def test_a_huge_change_stays_a_comment() -> None:
    wide = {f"p{number}": "x" * 90 for number in range(40)}
    many = [part("azure-native:web:WebApp", f"app-{number}", inputs=wide) for number in range(400)]
    bare = [part("azure-native:web:WebApp", f"app-{number}") for number in range(400)]

    text = comment(BASE, [compare("prod", side(*bare), side(*many))])
    huge = comment(BASE, [compare(f"s{number}", side(*bare), side()) for number in range(9)])

    assert "app-399" in text
    assert max(len(text), len(huge)) < LIMIT + 200
    assert "Cut: too long" in huge
    assert huge.count("<details") == huge.count("</details>")


def test_no_change_is_one_line() -> None:
    text = comment(BASE, [StackReview(stack="prod", state="same")])
    assert len(text.splitlines()) == 2
