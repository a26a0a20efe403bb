"""How far a host is trusted to answer."""

from __future__ import annotations

from typing import Final

BUDGET: Final = 20
"""Failures in a row until a host is left alone.

With eight requests at once that is the third round of timeouts, the second of refusals. A host that
fails less often than it answers stays in use, as an answer gives back what a failure took; one that
fails in half of all cases lasts about 400 requests.

Simulated over 5,000 inputs with 3 retries, each attempt failing by chance: at 40 % a budget of 20
refuses nothing, one of 10 refuses 83 % of the inputs; at 60 % it still asks for 2.5 % of them, one
of 40 for 5 %.
"""

COOL_DOWN_S: Final = 30.0
LONGEST_COOL_DOWN_S: Final = 300.0


class HostHealth:
    """The retry budget of one host, and the circuit that opens when it is spent.

    Only what may pass counts as a failure (429, 5xx, no connection, timeouts); a 404 is an answer.
    """

    __slots__ = ("_cool_down_s", "_open_until_s", "_probing", "last_code", "tokens")

    def __init__(self) -> None:
        """Begins with full trust."""
        self.tokens = BUDGET
        self.last_code = ""
        self._open_until_s: float | None = None
        self._cool_down_s = COOL_DOWN_S
        self._probing = False

    @property
    def is_well(self) -> bool:
        """Whether nothing has to be remembered."""
        return self.tokens == BUDGET and self._open_until_s is None

    @property
    def may_retry(self) -> bool:
        """Whether a failed attempt may be repeated: not when half of the budget is gone."""
        return self._open_until_s is None and self.tokens > BUDGET // 2

    def refuses(self, now_s: float) -> bool:
        """Tells whether nothing may be asked now: the circuit is open, or its probe is out."""
        return self._open_until_s is not None and (self._probing or now_s < self._open_until_s)

    def asked(self) -> bool:
        """Notes a request, and tells whether it is the probe: the first after a cool-down."""
        self._probing = self._open_until_s is not None
        return self._probing

    def succeeded(self) -> None:
        """Notes an answer; one to a probe closes the circuit."""
        if self._open_until_s is not None:
            self._open_until_s = None
            self._probing = False
            self._cool_down_s = COOL_DOWN_S
            self.tokens = BUDGET // 2
        self.tokens = min(self.tokens + 1, BUDGET)

    def failed(self, now_s: float, code: str) -> None:
        """Notes a failure that may pass; the last of the budget opens the circuit."""
        self.last_code = code
        self.tokens = max(self.tokens - 1, 0)
        # Or something like it: inputs that are redirected to the host are no probes.
        probed = self._open_until_s is not None and now_s >= self._open_until_s
        if probed:
            self._cool_down_s = min(2 * self._cool_down_s, LONGEST_COOL_DOWN_S)
        if probed or (self.tokens == 0 and self._open_until_s is None):
            self._probing = False
            self._open_until_s = now_s + self._cool_down_s

    def probe_ended(self) -> None:
        """Notes the end of a probe, which may have had neither an answer nor a failure."""
        self._probing = False
