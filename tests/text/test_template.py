from __future__ import annotations

import pytest

from otel_embedder.text.template import DEFAULT_TEMPLATE, Template, parse_template


def test_the_default_template_is_understood() -> None:
    assert parse_template(DEFAULT_TEMPLATE) == Template(
        "{0} {1} {2} in {3}ms attributes: {4}", between="=", separator=" "
    )


def test_fields_may_come_in_any_order_and_more_than_once() -> None:
    template = parse_template("{status}/{status} {operation} by {service}")

    assert template.text == "{2}/{2} {1} by {0}"


def test_what_stands_around_key_and_value_is_kept() -> None:
    template = parse_template("{k}: {v}; ... {operation}")

    assert template == Template("{4} {1}", between=": ", separator="; ")


def test_attributes_may_stand_side_by_side() -> None:
    template = parse_template("{k}{v}...")

    assert template == Template("{4}", between="", separator="")


def test_attributes_may_be_left_out() -> None:
    assert parse_template("{service}").text == "{0}"


def test_doubled_braces_stand_for_themselves() -> None:
    template = parse_template("{{{service}}}")

    assert template.text.format("shop") == "{shop}"


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{operations}", r"no field \{operations\}; there are \{service\}, \{operation\}"),
        ("{}", r"no field \{\}"),
        ("{0}", r"no field \{0\}"),
        ("{service.upper}", r"no field \{service.upper\}"),
        ("{k}={v}", "with the three dots"),
        ("{v}={k} ...", "with the three dots"),
        ("{k} ...", "with the three dots"),
        ("{k}={v} ... {k}={v} ...", "once"),
        ("{service:>10}", "takes no format"),
        ("{service!r}", "takes no format"),
        ("{service", "expected '}'"),
        ("service}", "Single '}'"),
    ],
)
def test_a_wrong_template_is_refused_with_a_reason(template: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_template(template)


def test_doubled_braces_are_no_field() -> None:
    template = parse_template("{{service}} {operation} {{0}} {{k}}={{v}} ...")

    assert template.text.format("shop", "pay") == "{service} pay {0} {k}={v} ..."
    assert template.positions == {1}


@pytest.mark.parametrize(
    "template",
    [
        "",
        "   ",
        "the same for every span",
        "{{service}}",
        "{{}}",
        "{{{{status}}}}",
        "{{k}}={{v}} ...",
    ],
)
def test_a_template_without_any_field_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="field"):
        parse_template(template)
