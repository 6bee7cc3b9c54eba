"""What the recognisers find in free text, Chinese and international, plain and encoded, and what they leave."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.identifiers import is_identity_number, scrub_text

NAME, IDENTITY = "欧阳修梅", "110101199003070038"
NAMES = (Path(__file__).parent / "fixtures" / "names_zh.txt").read_text("utf-8").split()
"""Names that Faker 40 (MIT), zh_CN, made: not by our dictionary."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"卡 {IDENTITY} 已读", "卡 [id] 已读"),
        ("110101 19900307 0038", "[id]"),
        ("11010119900307003x", "11010119900307003x"),  # the check digit is wrong
        ("旧号130503670401001。", "旧号[id]。"),
        ("A123456(7), A123456789, 078-05-1120", "[id], [id], [id]"),
        ("电话13812345678/+86 138-1234-5678", "电话[phone]/[phone]"),
        ("座机010-62345678，(0755)26001234-801", "座机[phone]，[phone]"),
        ("+44 20 7946 0958, tel: 6234-5678", "[phone], tel: [phone]"),
        ("号码１１０１０１１９９００３０７００３８", "号码[id]"),
        ("mail li.xiaomei@h1.example.cn ok", "mail [email] ok"),
        ("病历号：MR204871，住院号 88231004", "病历号：[record]，住院号 [record]"),
        ("医保卡号=A12345678X MRN: 55-7788", "医保卡号=[record] MRN: [record]"),
        ("护照号E12345678 passport no: E12345678", "护照号[record] passport no: [record]"),
        ("患者李晓梅，姓名：欧阳修文", "患者[name]，姓名：[name]"),
        ("护士李晓梅打印了", "护士[name]打印了"),
        ("李娜医生查房，李晓梅出院小结.docx", "[name]医生查房，[name]出院小结.docx"),
        ("Patient Name: John O'Neil, MRN 12345", "Patient Name: [name], MRN [record]"),
        ("Mr. John Smith and Dr House", "Mr. [name] and Dr [name]"),
        ("ZHANG^SAN^^^ is late", "[name] is late"),
        ("地址：健康路18号3单元 已寄", "地址：[address] 已寄"),
        ("送到健康路18号3单元502室", "[address]"),
        ("lives at 12 High Street", "lives at [address]"),
        ("出生日期1990年3月7日, DOB: 1990-03-07", "出生日期[birth date], DOB: [birth date]"),
        (f"D:\\docs\\{NAME}_{IDENTITY}.docx", "D:\\docs\\[name]_[id].docx"),
        (f"<name>{NAME}</name><dob>19900307</dob>", "<name>[name]</name><dob>[birth date]</dob>"),
        (
            json.dumps({"data": json.dumps({"patientName": "John Smith", "birthDate": "1990-03-07"})}),
            json.dumps({"data": json.dumps({"patientName": "[name]", "birthDate": "[birth date]"})}),
        ),
    ],
)
def test_identifiers_in_text_are_replaced_by_their_kind(text: str, expected: str) -> None:
    assert scrub_text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Accepted password for root from 10.3.1.5 port 50022 ssh2",
        "2026-03-01T02:11:09Z pid=1700000000 size=9007199254740993",
        "serial 20260301021109123456 done",
        "患者信息列表已导出 30 行",
        "rule 1.2.840.10008.5.1.4.1.1.2",
        "卫宁 HIS 安全 模块 药品管理 心内科 高压氧科 康复科 管理员 时间 成功",
        "Process Name: C:\\Windows\\System32\\svchost.exe, computer name: HIS-APP-01",
        "patient id is required; MRN missing; source address: 10.3.1.5",
        "MSH|^~\\&|HIS|H1|LIS|H1|20260301||ADT^A08|1|P|2.5",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "deadbeef13812345678deadbeef",
        "powershell -enc " + b64encode("Get-Process | Out-File c:\\x.txt".encode("utf-16-le")).decode(),
        "GET /a%20b/..%2f..%2fetc/passwd",
    ],
)
def test_text_without_identifiers_stays(text: str) -> None:
    assert scrub_text(text) == text


ENCODINGS: dict[str, Callable[[str], str]] = {
    "base64": lambda text: b64encode(text.encode()).decode(),
    "base64 of GBK": lambda text: b64encode(text.encode("gbk")).decode(),
    "base64 of UTF-16": lambda text: b64encode(text.encode("utf-16-le")).decode(),
    "base64 of gzip": lambda text: b64encode(gzip.compress(text.encode())).decode(),
    "base64 of zlib": lambda text: b64encode(zlib.compress(text.encode())).decode(),
    "base64 twice": lambda text: b64encode(b64encode(text.encode())).decode(),
    "percent": quote,
    "percent of GBK": lambda text: quote(text.encode("gbk")),
    "percent twice": lambda text: quote(quote(text)),
    "escapes of JSON": json.dumps,
    "entities": lambda text: "".join(f"&#x{ord(letter):x};" for letter in text),
    "hexadecimal": lambda text: text.encode().hex(),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_identity_in_an_encoded_part_goes_with_that_part(encoding: str) -> None:
    hidden = ENCODINGS[encoding](f"患者{NAME} {IDENTITY}")
    left = scrub_text(f"query={hidden} ok")
    assert "[encoded]" in left
    assert left.startswith("query=")
    assert left.endswith(" ok")
    assert hidden.strip('"') not in left


def test_what_is_encoded_deeper_than_is_read_goes_when_it_may_be_an_identity() -> None:
    hidden = NAME
    for _ in range(6):
        hidden = b64encode(hidden.encode()).decode()
    assert scrub_text(f"x {hidden} y") == "x [encoded] y"


def test_nearly_every_name_of_another_dictionary_is_told_where_it_stands_alone() -> None:
    missed = [name for name in NAMES if name in scrub_text(f"print {name}_1.docx")]
    print(f"names: {len(NAMES)} planted, {len(missed)} missed")
    assert len(missed) <= len(NAMES) // 50, missed


def test_every_name_is_told_after_a_word_that_says_it_is_a_patient() -> None:
    assert [name for name in NAMES if name in scrub_text(f"患者{name}，姓名：{name}")] == []


def _check_digit(digits: str) -> str:
    """Return the check by the table of weights in GB 11643-1999, written out."""
    weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
    return "10X98765432"[sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11]


def test_identity_numbers_are_told_by_the_weights_of_the_standard() -> None:
    draw = random.Random(11)
    for _ in range(500):
        digits = "".join(draw.choices("0123456789", k=17))
        right = _check_digit(digits)
        assert is_identity_number(digits + right)
        assert not any(is_identity_number(digits + wrong) for wrong in set("0123456789X") - {right})


@given(st.text(max_size=300))
def test_an_identity_number_is_found_in_any_text(text: str) -> None:
    assert IDENTITY not in scrub_text(f"{text} {IDENTITY} {text}")


def test_threads_scrub_at_the_same_time() -> None:
    text = f"患者{NAME} {IDENTITY} " * 50
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(scrub_text, [text] * 400)) == {scrub_text(text)}


@pytest.mark.parametrize(
    "hostile",
    [
        "a" * 300_000,
        "1" * 300_000,
        "患者" * 100_000,
        "a@" * 150_000,
        "地址:" * 90_000,
        "%41" * 90_000,
        "\\u6b27" * 50_000,
        "王伟路" * 60_000,
        "12 High " * 40_000,
        "a^b" * 90_000,
        "A1" * 130_000,
        "name=A " * 40_000,
        "&#65;" * 50_000,
    ],
)
def test_long_hostile_text_is_scrubbed_before_the_test_times_out(hostile: str) -> None:
    assert len(scrub_text(hostile)) <= len(hostile) * 5
