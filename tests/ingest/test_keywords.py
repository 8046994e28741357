"""Keywords and blockwords fit what people mean, cannot hang, and the more specific one always wins."""

import fnmatch
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.arrival import Profile
from ingest.errors import IngestError
from ingest.inbox.choice import choose, find_tie
from ingest.inbox.profiles import settle_profile
from ingest.inbox.rules import Glob, collide, fold, read_rule

ANSWER = "019cb24d-e500-7c7c-84f4-a45c80d56f00.errors.csv"


@pytest.mark.parametrize(
    ("keyword", "blockword"), [("glob:*.txt", None), (r"re:\.txt$", None), ("ecr", "error"), (None, "glob:*.csv")]
)
def test_an_error_file_goes_the_way_of_the_file_that_it_answers(keyword: str | None, blockword: str | None) -> None:
    profile = settle_profile(Profile("1", "a", "nightly", "t", keyword=keyword, blockword=blockword))
    assert choose(f"ecr_1.txt.{ANSWER}", "/upload", [profile]).profile is profile
    assert choose(f"ecr_1.txt.{ANSWER.upper()}", "/upload", [profile]).profile is profile


def test_an_error_file_may_have_a_profile_of_its_own() -> None:
    profile = settle_profile(Profile("1", "a", "corrections", "t", keyword="glob:*.errors.csv"))
    assert choose(f"ecr_1.txt.{ANSWER}", "/upload", [profile]).profile is profile
    assert choose("ecr_1.txt", "/upload", [profile]).profile is None


@pytest.mark.parametrize(
    ("rule", "name", "fits"),
    [
        ("civil", "ECR_Civil.txt", True),
        ("CIVIL", "ecr_civil.txt", True),
        ("civil", "criminal.txt", False),
        ("straße", "STRASSE.csv", True),
        ("caf\u00e9", "CAFE\u0301.txt", True),
        ("a*b", "aab", False),
        ("glob:ecr_*.txt", "ECR_1.TXT", True),
        ("glob:ecr_*.txt", "my_ecr_1.txt", False),
        ("glob:ecr_?.txt", "ecr_12.txt", False),
        ("glob:ecr_[0-9].txt", "ecr_7.txt", True),
        ("glob:ecr_[!0-9].txt", "ecr_7.txt", False),
        ("glob:[*].txt", "*.txt", True),
        ("glob:[*].txt", "a.txt", False),
        ("glob:a[b.txt", "a[b.txt", True),
        ("glob:*", "", True),
        ("re:^ecr_[0-9]{8}\\.txt$", "ECR_20260316.txt", True),
        ("re:^ecr_[0-9]{8}\\.txt$", "ecr_20260316.txt.bak", False),
        ("re:ecr", "my_ecr.txt", True),
        ("re:civil|criminal", "CRIMINAL", True),
    ],
)
def test_a_rule_fits_a_name(rule: str, name: str, fits: bool) -> None:
    assert (read_rule(rule).find(fold(name)) is not None) is fits


ALPHABET = "ab.*?[]!-"


@given(st.text(alphabet=ALPHABET, max_size=8), st.text(alphabet="ab.-!]", max_size=8))
def test_a_glob_fits_what_it_fits_in_the_shell(pattern: str, name: str) -> None:
    if re.search(r"\[!?\]|\[[^]]*-|\[$|\[[^]]*$", pattern):
        return  # ranges the wrong way round, and unclosed brackets, are read in several ways
    assert (read_rule(f"glob:{pattern}").find(name) == 0) is fnmatch.fnmatchcase(name, pattern)


GLOBS = st.lists(st.sampled_from(["a", "b", "?", "*", "[ab]", "[!a]"]), min_size=1, max_size=5).map("".join)


@given(GLOBS, GLOBS)
def test_globs_collide_if_a_name_fits_both(one: str, two: str) -> None:
    first, second = read_rule(f"glob:{one}"), read_rule(f"glob:{two}")
    assert isinstance(first, Glob)
    names = [""]
    for _ in range(6):
        names += [name + character for name in names if len(name) == len(names[-1]) for character in "abc"]
    both = any(first.find(name) == 0 and second.find(name) == 0 for name in names[:1093])
    if first.measure == second.measure and both:
        assert collide(f"glob:{one}", f"glob:{two}")
    if not collide(f"glob:{one}", f"glob:{two}") and first.measure == second.measure:
        assert not both


@pytest.mark.parametrize("rule", ["glob:" + "*a" * 99, "re:(a+)+$", "re:(a|a)*b", "glob:" + "?*" * 90])
def test_no_rule_can_hang(rule: str) -> None:
    began = time.monotonic()
    read_rule(rule).find("a" * 4096 + "c")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("keyword", "sentence"),
    [
        ("x" * 201, "1 to 200 characters"),
        ("glob:", "1 to 200 characters"),
        ("re:", "1 to 200 characters"),
        ("re:(", "no usable pattern"),
        ("re:(a)\\1", "no usable pattern"),
        ("re:a(?=b)", "no usable pattern"),
        ("re:" + "(a{1000}){1000}", "no usable pattern"),
        ("upload/ecr", "has a slash"),
    ],
)
@pytest.mark.parametrize("field", ["keyword", "blockword"])
def test_a_rule_that_cannot_be_used_is_refused(field: str, keyword: str, sentence: str) -> None:
    with pytest.raises(IngestError, match=sentence):
        settle_profile(Profile("1", "a", "p", "t", **{field: keyword}))


@pytest.mark.parametrize(
    ("keywords", "name", "wins"),
    [
        ((None, "ecr"), "ecr.txt", "ecr"),
        (("ecr", "ecr_civil"), "ecr_civil.txt", "ecr_civil"),
        (("TRAF", "CRIM"), "CRIM_TRAF.txt", "CRIM"),
        (("TRAF", "CRIM"), "TRAF_CRIM.txt", "TRAF"),
        (("civil", "glob:*civil*"), "civil.txt", "glob:*civil*"),
        (("glob:*civil*", "re:civil"), "civil.txt", "re:civil"),
        (("civil", "re:[0-9]+"), "civil_1.txt", "civil"),
        ((None, "re:[0-9]+"), "civil_1.txt", "re:[0-9]+"),
        (("re:^ecr_\\d{8}", "ecr"), "ecr_20260101.txt", "re:^ecr_\\d{8}"),
    ],
)
def test_the_most_specific_keyword_wins_whatever_the_names_of_the_profiles(
    keywords: tuple[str | None, ...], name: str, wins: str
) -> None:
    for order in (keywords, tuple(reversed(keywords))):
        profiles = [Profile(str(i), "a", f"p{i}", "t", keyword=keyword) for i, keyword in enumerate(order)]
        chosen = choose(name, "/upload", profiles).profile
        assert chosen
        assert chosen.keyword == wins


@pytest.mark.parametrize(
    ("one", "two", "ties"),
    [
        ({}, {}, True),
        ({"keyword": "ecr"}, {"keyword": "ECR"}, True),
        ({"keyword": "ecr"}, {"keyword": "ord"}, False),
        ({"keyword": "ecr"}, {}, False),
        ({"keyword": "glob:ecr_*"}, {"keyword": "glob:ord_*"}, False),
        ({"keyword": "glob:ecr*"}, {"keyword": "glob:*txt"}, True),
        ({"keyword": "re:abc"}, {"keyword": "re:xyz"}, True),
        ({"keyword": "re:abc"}, {"keyword": "re:wxyz"}, False),
        ({"directory": "/upload/a"}, {"directory": "/upload/b"}, False),
        ({"keyword": "ecr"}, {"keyword": "ecr", "auto_sync": False}, False),
        ({"server_id": "s"}, {"server_id": "s"}, True),
        ({"server_id": "s"}, {}, False),
        ({"server_id": "s"}, {"server_id": "s", "agency_id": "b"}, True),
        ({}, {"agency_id": "b"}, False),
        ({"keyword": "x_ecr", "blockword": "b"}, {"keyword": "y_ecr"}, False),
        ({"keyword": "glob:a*", "blockword": "a_"}, {"keyword": "glob:?a", "blockword": "q"}, True),
    ],
)
def test_ties_are_found(one: dict[str, str], two: dict[str, str], ties: bool) -> None:
    first, second = (
        Profile(**{"id": i, "agency_id": "a", "name": i, "template": "t", **values})
        for i, values in (("1", one), ("2", two))
    )
    assert (find_tie(first, [first, second]) is not None) is ties
    assert (find_tie(second, [first, second]) is not None) is ties
