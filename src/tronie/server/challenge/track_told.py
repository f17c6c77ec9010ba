"""A track in plain text, as `tronie show` prints it."""

from __future__ import annotations

import textwrap

from tronie.server.challenge.track import MIB, Phase, Track

WIDTH = 80


def told_track(track: Track) -> str:
    """Title, summary, what is taken, limits, columns, dates, prizes and rules.

    Example:
        >>> from tronie.server.challenge.track import open_track
        >>> told_track(open_track("mfr21-a")).splitlines()[0]
        'MFR21, InsightFace track A'
    """
    parts = [track.title, _wrapped(track.summary)]
    parts.append(_listed("Limits", told_limits(track)))
    columns = [f"{column.title} ({column.key})" for column in track.columns]
    ties = ", then ".join([*track.tie_breaks, "the earlier submission"])
    ranks = f"ranked by {track.columns[0].title}; equal scores by {ties}"
    parts.append(_listed("Board", [", ".join(columns), ranks]))
    parts.append(_listed("Dates", [told_phase(phase) for phase in track.phases]))
    prizes = [f"place {place}: {prize}" for place, prize in sorted(track.prizes.items())]
    prizes += [
        f"place {place}: {share:.0%} of the bonus"
        for place, share in sorted(track.bonus_shares.items())
        if place not in track.prizes
    ]
    if prizes:
        parts.append(_listed("Prizes", prizes))
    parts.append(_listed("Rules", track.rules))
    if track.source:
        parts.append(_wrapped(f"Source: {track.source}"))
    return "\n\n".join(parts)


def told_limits(track: Track) -> list[str]:
    """What a submission may be and cost, a line each."""
    limits = track.limits
    what = "model.onnx, alone or in a zip"
    if track.takes == "features":
        rows = f" of {track.rows} rows" if track.rows else ""
        what = f"a zip of a feature matrix{rows} and the model.onnx that made it"
    told = [f"{what}, at most {limits.upload_bytes / MIB:.0f} MiB"]
    told.append(f"embeddings of at most {limits.dimension} numbers")
    if limits.model_bytes is not None:
        told.append(f"a model of at most {limits.model_bytes / MIB:.0f} MiB")
    if limits.flops_lfr is not None:
        told.append(f"at most {limits.flops_lfr / 1e9:g} GFLOPs, as LFR19 counts them")
    if limits.latency_ms is not None:
        on = track.reference.machine if track.reference else "the machine of the challenge"
        told.append(f"at most {limits.latency_ms:g} ms a crop on {on}")
    many = "submission" if track.per_day == 1 else "submissions"
    told.append(f"{track.per_day} {many} of an organization in a day of UTC")
    return told


def told_phase(phase: Phase) -> str:
    """A phase with its moments."""
    opens = f"from {phase.opens:%Y-%m-%d %H:%M} UTC" if phase.opens else ""
    closes = f"to {phase.closes:%Y-%m-%d %H:%M} UTC" if phase.closes else ""
    when = " ".join(part for part in (opens, closes) if part) or "at any time"
    hidden = ", scores hidden until it closes" if phase.hidden else ""
    return f"{phase.name}: {when}{hidden}"


def _listed(heading: str, lines: list[str] | tuple[str, ...]) -> str:
    wrapped = [
        textwrap.fill(line, WIDTH, initial_indent="    ", subsequent_indent="      ")
        for line in lines
    ]
    return "\n".join([heading, *wrapped])


def _wrapped(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), WIDTH)
