"""Every option of pairs has a help, and every command that shares one shows the same."""

from __future__ import annotations

import pytest

from tronie.cli import pair_options
from tronie.cli.evaluate_pairs import COMMANDS

OPTIONS = {
    name: option
    for name, option in vars(pair_options).items()
    if hasattr(option, "__metadata__") and name[0].isupper()
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_has_a_flag_and_a_sentence(name):
    (told,) = OPTIONS[name].__metadata__
    assert all(flag.startswith("--") for flag in told.param_decls)
    assert told.help.endswith((".", "?"))
    assert len(told.help) < 120


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_its_options_in_eighty_columns(cli_here, command):
    page = cli_here("evaluate", command, "--help").out
    assert "--search-device" in page
    assert "--features-out" in page
    assert max(len(line) for line in page.splitlines()) <= 80
