"""Minutes by a template: the user's own words stand, what was said is data."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from stenoflow.tasks.artifacts.minutes import MinutesDocument
from stenoflow.tasks.artifacts.minutes_template import check_template, render_by_template
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.transcript.minutes import Minutes, Point

_MINUTES = Minutes(
    summary=(Point("The site is ready.", 1, 1_250),),
    decisions=(Point("Ship <b>it</b> [now](https://evil.example)", 3, 60_000),),
    action_items=(Point("Write to Bob", 2, 754_000, "Anna", "Friday"),),
)
_DOCUMENT = MinutesDocument(
    _MINUTES, "board.mp3", "77aa", "3f9a", "../3f9a/transcript.html", "m at p", "en", ("Part is missing.",)
)


def test_jinja_prints_what_there_is_with_links() -> None:
    template = """# {{ recording }}
{% for item in action_items %}
* {{ item.owner }}: {{ item.text }} ({{ item.due }}, {{ item.link }})
{% endfor %}
{% for section in sections if section.points %}
{{ section.title }}: {{ section.points | length }}
{% endfor %}
"""
    assert render_by_template(_DOCUMENT, template).splitlines() == [
        "# board.mp3",
        "* Anna: Write to Bob (Friday, [00:12:34](../3f9a/transcript.html#t=754))",
        "Summary: 1",
        "Decisions: 1",
        "Action items: 1",
    ]


@pytest.mark.parametrize("printed", ["text", "markdown"])
def test_what_was_said_is_never_markup(printed: str) -> None:
    template = "{% for each in decisions %}- {{ each." + printed + " }}{% endfor %}"
    html = MarkdownIt("commonmark").render(render_by_template(_DOCUMENT, template))
    assert "<b>" not in html
    assert 'https://evil.example"' not in html


def test_markdown_with_headings_is_filled_in_its_order_and_language() -> None:
    template = (
        "# Our board\n\nConfidential.\n\n## Beschlüsse\n\n## Action items:\n## Open questions ##\n## Rest\n"
    )
    lines = render_by_template(_DOCUMENT, template).splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        "# Our board",
        "## Beschlüsse",
        "## Action items:",
        "## Open questions ##",
        "## Rest",
    ]
    assert lines.index("## Beschlüsse") + 2 == next(i for i, line in enumerate(lines) if "Ship" in line)
    assert "Confidential." in lines
    assert any("Write to Bob **Anna, Friday**" in line for line in lines)
    assert not any("The site is ready" in line for line in lines)
    assert lines[-1] == "> Part is missing."


@pytest.mark.parametrize(
    "template",
    [
        "no heading of ours\n# Agenda\n",
        "{% for x in %}",
        "{{ nobody }}",
        "{{ summary[0].nothing.at_all }}",
        "{{ recording.__class__.__mro__ }}",
        "{% include '/etc/passwd' %}",
        "{{ 1 / 0 }}",
    ],
)
def test_a_template_of_no_use_is_refused(template: str) -> None:
    with pytest.raises(SettingsError, match="template"):
        check_template(template)


def test_a_template_must_do_with_sections_that_are_empty() -> None:
    with pytest.raises(SettingsError, match="template"):
        check_template("{{ summary[0].text }}")
    check_template("{{ summary[0].text if summary }}")


@pytest.mark.parametrize(
    "printed",
    [
        "{{ 'a' * 10**10 }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ ([1] * 10**10) | length }}",
        "{% macro more() %}{{ more() }}{% endmacro %}{{ more() }}",
        "{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}",
        "{{ 'a' * 5_000_000 }}",
    ],
)
def test_a_template_that_takes_too_much_is_refused_and_takes_nobody_along(printed: str) -> None:
    with pytest.raises(SettingsError, match="the template of minutes"):
        check_template(printed)


@pytest.mark.slow
def test_a_loop_without_an_end_is_ended() -> None:
    loops = "{% for a in 'x' * 300 %}" * 8 + "{% endfor %}" * 8
    with pytest.raises(SettingsError, match="the template of minutes"):
        check_template(loops)


@pytest.mark.parametrize(
    "printed",
    [
        "{{ lipsum.__globals__['os'].popen('id').read() }}",
        "{{ recording | attr('__class__') }}",
        "{{ '{0.__class__}'.format(recording) }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ self._TemplateReference__context.__class__ }}",
        "{{ remarks.append(1) }}",
    ],
)
def test_a_template_reaches_nothing_but_what_it_is_given(printed: str) -> None:
    with pytest.raises(SettingsError, match="cannot be used"):
        check_template(printed)
