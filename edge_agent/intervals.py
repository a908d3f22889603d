"""Confidence intervals: how far a counted share may be from the true one."""

from __future__ import annotations

from statistics import NormalDist

CONFIDENCE_RATIO = 0.95
"""Confidence of every interval that leaves the device or decides something on it."""


def wilson_interval(count: float, total: float, confidence: float = CONFIDENCE_RATIO) -> tuple[float, float]:
    """Ends of the score interval of the share ``count / total``, each a ratio (E. B. Wilson, 1927).

    Unlike ``share ± z·spread`` it stays within 0 and 1 and has a width even if all or none were counted. For a
    ``total`` of 0 nothing is known, and it is (0, 1).
    """
    if total == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = count / total
    centre = share + z * z / (2 * total)
    spread = z * ((share * (1 - share) + z * z / (4 * total)) / total) ** 0.5
    scale = 1 + z * z / total
    # Rounding must not put an end beyond the share itself.
    return max(0.0, min(share, (centre - spread) / scale)), min(1.0, max(share, (centre + spread) / scale))
