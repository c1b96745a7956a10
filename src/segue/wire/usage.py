"""Token counts as providers write them. Whatever is no count is taken as none."""

from segue.core.messages import Json, Usage

LARGEST = 2**53
"""What counts more is no count: a price would make of it a sum that no journal can keep."""


def chat_usage(counts: Json) -> Usage:
    """Counts of Chat Completions, with what DeepSeek calls the cached part."""
    if not isinstance(counts, dict):
        return Usage()
    cached = _part(counts, "prompt_tokens_details", "cached_tokens") or _count(counts.get("prompt_cache_hit_tokens"))
    reasoning = _part(counts, "completion_tokens_details", "reasoning_tokens")
    return Usage(_count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens")), cached, reasoning)


def chat_counts(usage: Usage) -> dict[str, Json]:
    """The same, to be written."""
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def responses_usage(counts: Json) -> Usage:
    """Counts of the Responses API."""
    if not isinstance(counts, dict):
        return Usage()
    cached = _part(counts, "input_tokens_details", "cached_tokens")
    reasoning = _part(counts, "output_tokens_details", "reasoning_tokens")
    return Usage(_count(counts.get("input_tokens")), _count(counts.get("output_tokens")), cached, reasoning)


def responses_counts(usage: Usage) -> dict[str, Json]:
    """The same, to be written."""
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


def _part(counts: dict[str, Json], details: str, name: str) -> int:
    inner = counts.get(details)
    return _count(inner.get(name)) if isinstance(inner, dict) else 0


def _count(value: Json) -> int:
    if not value:
        return 0  # mostly nothing is cached, and nothing thought
    return value if type(value) is int and 0 < value <= LARGEST else 0
