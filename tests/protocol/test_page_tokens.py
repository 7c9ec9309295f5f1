"""Page tokens of history."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest

from dwserver.protocol.page_tokens import page_token, read_page_token


@pytest.mark.parametrize("sequence", [0, 1, 9, 10, 500, 10**12])
def test_a_token_names_the_last_sequence_of_a_page(sequence: int) -> None:
    token = page_token(sequence)
    assert b64decode(token) == str(sequence).encode()
    assert read_page_token(token) == sequence


@pytest.mark.parametrize(
    "token",
    [
        "",
        "500",
        "NTAw=",
        "NTA",
        "NTAw\n",
        " NTAw",
        "NTAw NTAw",
        "ñ",
        "\ud800",
        "\0",
        *(
            b64encode(text).decode()
            for text in (
                b"-1",
                b"+1",
                b"1.5",
                b" 1",
                b"1\n",
                b"0x10",
                b"five",
                "٣".encode(),
                "²".encode(),
                b"9" * 19,
                b"9" * 5000,
            )
        ),
    ],
)
def test_other_texts_are_no_tokens(token: str) -> None:
    assert read_page_token(token) is None
