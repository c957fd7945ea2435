"""A file that a setting names is read before anything starts: a mistake in it is one line, and exit code 2."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.operate.cli import app

RULES = "[rule.blocked-ip]\ncount = 0\n"
LIMITS = "[provider.docomo]\nconnections = 0\n"
OF_NOBODY = "[provider.docmoo]\nconnections = 3\n"
BY_HOST = '[rule.blocked-ip]\nproviders = ["mx:hoster.example"]\n'
BY_NOBODY = '[rule.blocked-ip]\nproviders = ["Gmail"]\n'


@pytest.mark.parametrize(
    ("command", "variable", "text", "words"),
    [
        (["worker", "control"], "EVENPOST_CONTROL__AUTOMATION", RULES, "[rule.blocked-ip] count = 0: must be a whole"),
        (["up"], "EVENPOST_CONTROL__AUTOMATION", RULES, "[rule.blocked-ip] count = 0: must be a whole"),
        (["worker", "sender"], "EVENPOST_SMTP__SHAPING", LIMITS, "[provider.docomo] connections = 0: must be a whole"),
        (["up"], "EVENPOST_SMTP__SHAPING", LIMITS, "[provider.docomo] connections = 0: must be a whole"),
        (["up"], "EVENPOST_SMTP__SHAPING", OF_NOBODY, "[provider]: no provider 'docmoo'; did you mean docomo?"),
        (["worker", "control"], "EVENPOST_CONTROL__AUTOMATION", BY_NOBODY, "[rule.blocked-ip]: no provider 'Gmail'"),
        (["up"], "EVENPOST_CONTROL__AUTOMATION", BY_HOST, "[rule.blocked-ip]: no provider 'mx:hoster.example' here"),
    ],
)
def test_a_mistake_in_a_file_that_a_setting_names_is_told_before_anything_starts(
    tmp_path: Path, command: list[str], variable: str, text: str, words: str
) -> None:
    """File, table, field, value and fix; no broker is needed for it, and no worker starts to end again and again."""
    file = tmp_path / "mine.toml"
    file.write_text(text)
    told = CliRunner().invoke(app, command, env={"EVENPOST_DATA_DIR": str(tmp_path / "data"), variable: str(file)})
    assert told.exit_code == 2
    assert str(file) in told.stderr
    assert words in told.stderr
    assert not (tmp_path / "data").exists()


def test_a_resolver_that_is_none_is_told_likewise(tmp_path: Path) -> None:
    """Else the sender would end with it again and again."""
    environment = {"EVENPOST_DATA_DIR": str(tmp_path / "data"), "EVENPOST_DNS__SERVERS": "one.dns.example"}
    told = CliRunner().invoke(app, ["up"], env=environment)
    assert told.exit_code == 2
    assert "dns.servers: 'one.dns.example' is no resolver; write ADDRESS" in told.stderr
