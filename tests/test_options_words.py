import inspect
import re

import pytest

from timeback_async.cli._options_words import OPTIONS, as_flags
from timeback_async.sync import CODES, ReadOptions, plan


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        (
            'nothing; pass mode="delta" if they are not',
            "nothing; pass --mode delta if they are not",
        ),
        ('pass date_format="%d/%m/%Y"', "pass --date-format %d/%m/%Y"),
        ('set it by layout="FILE"', "set it by --map FILE"),
        ("pass strict=True, resend=True", "pass --strict, --resend"),
        ("fill it in, or pass default_org.", "fill it in, or pass --default-org."),
        ("deactivate_absent or unlink_absent", "--deactivate-absent or --unlink-absent"),
        ("encoding: 'x' is not known", "--encoding: 'x' is not known"),
        ("layout: /nope: No such file", "--map: /nope: No such file"),
        ("max_removals: must be a number", "--max-removals: must be a number"),
        ("org_map: default_org.toml: is bad", "--org-map: default_org.toml: is bad"),
    ],
)
def test_options_of_python_become_flags(text: str, translated: str) -> None:
    assert as_flags(text) == translated
    assert as_flags(translated) == translated


@pytest.mark.parametrize(
    "text",
    [
        "the manifest does not say the mode of a file",
        "a strict layout, and its encoding: unknown",
        "users.csv:3: grades: a value is not valid",
        "my/org_map/file, org_map.toml, a-default_org and default_org-2",
        "",
    ],
)
def test_english_words_and_names_of_files_stay(text: str) -> None:
    assert as_flags(text) == text


def test_every_option_of_the_library_has_a_flag() -> None:
    keywords = inspect.signature(plan).parameters.values()
    options = [each.name for each in keywords if each.kind is each.KEYWORD_ONLY]

    assert set(OPTIONS) == {*ReadOptions.__struct_fields__, *options}


@pytest.mark.parametrize("code", CODES)
def test_a_finding_names_options_by_the_readers_name_for_them(code: str) -> None:
    for text in (CODES[code].says, CODES[code].advice):
        assert "--" not in text
        assert "see the detail" not in text
        assert not re.search(r"[a-z]+_[a-z]+|[a-z]=", as_flags(text))
