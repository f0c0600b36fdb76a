from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.errors import InvalidInput
from studio.hub.reference import DatasetReference, is_dataset_reference, parse_dataset_reference

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf:owner/name", DatasetReference("owner/name")),
        ("owner/name", DatasetReference("owner/name")),
        (" hf:owner/name ", DatasetReference("owner/name")),
        ("hf://datasets/owner/name", DatasetReference("owner/name")),
        ("hf:squad", DatasetReference("squad")),
        (f"hf:owner/name@{COMMIT}", DatasetReference("owner/name", COMMIT)),
        ("hf:owner/name/sft", DatasetReference("owner/name", config="sft")),
        ("hf:owner/name#test", DatasetReference("owner/name", split="test")),
        ("hf:owner/name@v1.0/sft#train", DatasetReference("owner/name", "v1.0", "sft", "train")),
        ("hf:squad@main/plain_text#validation", DatasetReference("squad", "main", "plain_text", "validation")),
        ("hf:o/n@refs/convert/parquet", DatasetReference("o/n", "refs/convert/parquet")),
        ("hf:o/n@refs/convert/parquet/en#test", DatasetReference("o/n", "refs/convert/parquet", "en", "test")),
        ("hf:o/n@refs/pr/7", DatasetReference("o/n", "refs/pr/7")),
        ("hf:o/n@a%2Fb/c", DatasetReference("o/n", "a/b", "c")),
        ("https://huggingface.co/datasets/owner/name", DatasetReference("owner/name")),
        ("https://huggingface.co/datasets/owner/name/?row=3", DatasetReference("owner/name")),
        ("https://huggingface.co/datasets/squad", DatasetReference("squad")),
        ("https://huggingface.co/datasets/o/n/tree/v2/data", DatasetReference("o/n", "v2")),
        (
            "https://huggingface.co/datasets/o/n/tree/refs%2Fconvert%2Fparquet/en",
            DatasetReference("o/n", "refs/convert/parquet"),
        ),
        ("https://huggingface.co/datasets/o/n/viewer/en/test?p=1", DatasetReference("o/n", config="en", split="test")),
        ("https://huggingface.co/datasets/o/n/viewer", DatasetReference("o/n")),
        ("http://hub.lan/datasets/o/n", DatasetReference("o/n")),
    ],
)
def test_what_a_person_writes_is_understood(text: str, expected: DatasetReference) -> None:
    assert parse_dataset_reference(text, "http://hub.lan") == expected


@pytest.mark.parametrize(
    "text",
    ["", "hf:", "hf:owner/", "hf:/name", "hf:o/n@", "hf:o/n@/c", "hf:o/n#", "hf:o/n/", "hf:o/../n", "hf:o/n--m",
     "hf:o/.n", "./rows.jsonl", "https://elsewhere.org/datasets/o/n", "hf:o/n m"],
)  # fmt: skip
def test_what_names_no_dataset_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_dataset_reference(text)
    assert "owner/name" in caught.value.hint


def test_a_file_is_not_taken_for_a_dataset() -> None:
    assert is_dataset_reference("hf:o/n")
    assert is_dataset_reference("https://huggingface.co/datasets/o/n")
    assert is_dataset_reference("http://hub.lan/datasets/o/n", "http://hub.lan")
    assert not is_dataset_reference("http://hub.lan/datasets/o/n")
    assert not is_dataset_reference("data/rows.jsonl")
    assert not is_dataset_reference("owner/name")


words = st.from_regex(r"[A-Za-z0-9]{1,12}", fullmatch=True)


@given(
    st.builds(
        DatasetReference,
        id=st.one_of(words, st.builds("{}/{}".format, words, words)),
        revision=st.one_of(words, st.sampled_from(["", "a/b", "refs/convert/parquet", "refs/pr/12", "100%"])),
        config=st.one_of(st.none(), words),
        split=st.one_of(st.none(), words),
    )
)
def test_a_reference_is_read_as_it_is_written(reference: DatasetReference) -> None:
    again = parse_dataset_reference(str(reference))
    if reference.config and "/" not in reference.id and not reference.revision:
        assert again.revision == "main"
    else:
        assert again.revision == reference.revision
    assert (again.id, again.config, again.split) == (reference.id, reference.config, reference.split)
