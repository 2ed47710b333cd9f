"""The rate and the time left follow what a run does now."""

import pytest

from detail_embed.fiftyone_bridge.runs.pace import Pace


@pytest.fixture
def clock():
    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    return Clock()


def advance(pace, clock, done, seconds, rate):
    """Runs for some seconds at images per second; returns how many are done."""
    for _ in range(seconds):
        clock.now += 1
        done += rate
        progress = pace.report(done, failed=3)
    return done, progress


def test_time_left_is_that_of_the_recent_rate(clock):
    pace = Pace(10_000, clock)
    done, progress = advance(pace, clock, 0, 100, 30)
    assert progress.text == (
        "3000 of 10000 images, 3 unreadable, 30.0 images/s, 0:03:53 left"
    )
    assert progress.fraction == 0.3
    done, progress = advance(pace, clock, done, 60, 10)
    assert "10.0 images/s (was 22.5)" in progress.text  # 30 for 100 s, 10 for 60 s
    assert progress.text.endswith("0:10:40 left")


def test_a_rate_that_stays_low_becomes_the_usual_one(clock):
    pace = Pace(100_000, clock)
    done, _ = advance(pace, clock, 0, 400, 30)
    done, dropped = advance(pace, clock, done, 40, 10)
    _, settled = advance(pace, clock, done, 320, 10)
    assert "(was " in dropped.text
    assert "10.0 images/s, " in settled.text


def test_more_than_a_day_left_and_no_time_passed(clock):
    pace = Pace(1_000_000, clock)
    clock.now += 10
    assert pace.report(10).text.endswith("11 days, 13:46:30 left")
    assert Pace(1, clock).report(1).fraction == 1
