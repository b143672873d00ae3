"""How long to wait before the next attempt: the backoff curves, and their jitter.

Knows nothing of phases. The jitter is a hash of (job id, attempt), so that a replay gives the same delay,
and jobs that failed together still come back apart.
"""

from hashlib import blake2b

from schemas.events import JobSpec
from schemas.words import Backoff

DELAY_MS_MIN = 1
"""A retry always lies ahead of the failure before it, ms."""

HASH_BYTES = 8
HASH_HALF = 1 << (8 * HASH_BYTES - 1)


def delay_ms(spec: JobSpec, *, failures: int, attempt: int) -> int:
    """The delay after so many failures, the last of them of this attempt (both from 1), ms.

    The curve goes by failures, since a lost lease is no failure; the jitter goes by the attempt and adds or
    takes at most its share. The cap bounds the curve, so the longest delay is the cap and its jitter.
    """
    curve = curve_ms(spec, failures)
    return max(DELAY_MS_MIN, round(curve * (1 + spec.retry_jitter * lot(spec.id, attempt))))


def curve_ms(spec: JobSpec, failures: int) -> float:
    """The delay after so many failures (from 1), ms, without jitter: never more than the cap.

    ===========  ==============================
    constant     initial
    linear       initial * failures
    exponential  initial * factor^(failures - 1)
    polynomial   initial * failures^factor
    ===========  ==============================

    Raises:
        ValueError: the curve has no such name; admission lets none through.
    """
    initial, factor = spec.retry_initial_ms, spec.retry_factor
    try:
        match spec.retry_kind:
            case Backoff.CONSTANT:
                curve = float(initial)
            case Backoff.LINEAR:
                curve = float(initial * failures)
            case Backoff.EXPONENTIAL:
                curve = initial * factor ** (failures - 1)
            case Backoff.POLYNOMIAL:
                curve = initial * float(failures) ** factor
            case unknown:
                words = ", ".join(Backoff)
                raise ValueError(f"retry_kind must be one of {words}, got {unknown!r}")
    except OverflowError:  # far beyond any cap
        return float(spec.retry_cap_ms)
    return min(curve, spec.retry_cap_ms)


def lot(job: str, attempt: int) -> float:
    """A number in [-1, 1) that is the same for each (job id, attempt), and as good as drawn."""
    digest = blake2b(f"{job}/{attempt}".encode(), digest_size=HASH_BYTES).digest()
    return int.from_bytes(digest) / HASH_HALF - 1
