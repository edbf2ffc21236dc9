"""Reads a retry policy from a block of a configuration."""

from __future__ import annotations

from edge.files.strict_block import Block
from edge.retry.policy import RetryPolicy


def read_retry_policy(block: Block, usual: RetryPolicy, *, count: str = "attempts") -> RetryPolicy:
    """The policy of a block; problems are noted in it.

    Args:
        usual: has the values of keys that are missing.
        count: the key of `RetryPolicy.attempts`.
    """
    policy = RetryPolicy(
        attempts=block.whole(count, usual.attempts, low=1, high=1000),
        first_delay_s=block.number("first_delay_s", usual.first_delay_s, low=0.01, high=3600),
        max_delay_s=block.number("max_delay_s", usual.max_delay_s, low=0.01, high=86400),
    )
    if policy.max_delay_s < policy.first_delay_s:
        block.note("max_delay_s", f"is {policy.max_delay_s:g}, less than first_delay_s")
    block.close()
    return policy
