"""Service Bus' own limits and how it writes durations. Pure.

Sources: "Service Bus quotas" and "Service Bus premium and standard messaging tiers" (learn.microsoft.com); bounds of
locks, windows and counts as Microsoft's administration clients enforce them (AdministrationClientConstants).
"""

from typing import Literal

from components.errors import require

Tier = Literal["Basic", "Standard", "Premium"]
TIERS = ("Basic", "Standard", "Premium")
DAY_S = 86_400
LOCK_S = (5, 300)
DUPLICATES_S = (20, 7 * DAY_S)
SIZES_MB = (1024, 2048, 3072, 4096, 5120)
PREMIUM_SIZES_MB = (*SIZES_MB, 10240, 20480, 40960, 81920)
BASIC_LIFE_S = 14 * DAY_S
SQL_CHARACTERS = 1024
MESSAGING_UNITS = (1, 2, 4, 8, 16)


def iso(seconds: int) -> str:
    """A duration as Azure writes it, so that reading it back shows no difference: 90 → `PT1M30S`, 604800 → `P7D`."""
    days, rest = divmod(seconds, DAY_S)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    time = "".join(f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M"), (left, "S")) if count)
    return "P" + (f"{days}D" if days else "") + (f"T{time}" if time else "")


def check_lock(who: str, lock_s: int, max_delivery_count: int) -> None:
    """How long a receiver holds a message, and how often it may be tried."""
    require(
        LOCK_S[0] <= lock_s <= LOCK_S[1],
        who,
        must=f"lock_s must be {LOCK_S[0]} to {LOCK_S[1]} seconds",
        got=lock_s,
        change="set lock_s=300 and let the receiver renew the lock of longer work",
    )
    require(
        max_delivery_count >= 1,
        who,
        must="max_delivery_count must be 1 or more",
        got=max_delivery_count,
        change="set max_delivery_count=10",
    )


def check_life(who: str, time_to_live_s: int | None) -> None:
    """How long a message may wait."""
    require(
        time_to_live_s is None or time_to_live_s >= 1,
        who,
        must="time_to_live_s must be 1 second or more",
        got=time_to_live_s,
        change="leave it out for messages that never expire",
    )


def check_duplicates(who: str, duplicates_s: int | None) -> None:
    """How long message ids are remembered."""
    require(
        duplicates_s is None or DUPLICATES_S[0] <= duplicates_s <= DUPLICATES_S[1],
        who,
        must=f"duplicates_s must be {DUPLICATES_S[0]} to {DUPLICATES_S[1]} seconds (7 days)",
        got=duplicates_s,
        change="set duplicates_s=600, or leave it out for no detection",
    )


def check_sql(who: str, field: str, text: str) -> None:
    """An expression of Service Bus' SQL: something, and not too much of it."""
    require(
        text.strip() and len(text) <= SQL_CHARACTERS,
        who,
        must=f"{field} must have 1 to {SQL_CHARACTERS:,} characters",
        got=f"{len(text):,}",
        change="shorten it, or split it into several rules",
    )


def check_tier(who: str, tier: Tier, *, size_mb: int, life_s: int | None, features: list[str]) -> None:
    """What a namespace's tier allows; `features`: fields in use that Basic does not have."""
    require(
        tier != "Basic" or not features,
        who,
        must="its namespace must be of tier Standard or Premium",
        got=f"Basic, with {', '.join(features)}",
        change='set tier="Standard" on the namespace, or do without',
    )
    sizes = PREMIUM_SIZES_MB if tier == "Premium" else SIZES_MB
    require(
        size_mb in sizes,
        who,
        must=f"size_mb must be one of {', '.join(map(str, sizes))} on tier {tier}",
        got=size_mb,
        change="set size_mb=1024",
    )
    require(
        tier != "Basic" or life_s is None or life_s <= BASIC_LIFE_S,
        who,
        must=f"time_to_live_s must be at most {BASIC_LIFE_S} seconds (14 days) on tier Basic",
        got=life_s,
        change='shorten it, or set tier="Standard" on the namespace',
    )
