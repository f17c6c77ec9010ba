"""How many uploads are taken at once."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from tronie.server.http import Refused
from tronie.server.sites.challenge.upload_room import UploadRoom

pytestmark = pytest.mark.server


def test_a_team_has_two_at_once_and_all_teams_a_few():
    room = UploadRoom(most=3)
    with ExitStack() as open_ones:
        for team in ("a", "a", "b"):
            open_ones.enter_context(room.one(team))
        with pytest.raises(Refused, match="2 uploads of your organization are under way"):
            open_ones.enter_context(room.one("a"))
        with pytest.raises(Refused, match="3 uploads are under way, which is all"):
            open_ones.enter_context(room.one("c"))
    with room.one("a"), room.one("a"):
        pass


def test_the_room_is_given_back_after_a_failure():
    room = UploadRoom(most=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError, match="division"), room.one("a"):
            raise ZeroDivisionError("division")
