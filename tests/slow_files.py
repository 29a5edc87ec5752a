"""Test files that take long, in seconds (two cores, about). `tests/conftest.py` begins with the slowest. A file that is
missing here, or a figure that is off, costs time at the end of a run and nothing else.
"""

SECONDS = {
    "integration/engine/test_whole_program.py": 170,
    "integration/deadletters/test_bus_place_killed.py": 100,
    "e2e/test_bus.py": 100,
    "integration/engine/test_two_stacks.py": 100,
    "integration/host/bus/test_both.py": 90,
    "integration/engine/test_foreign.py": 80,
    "integration/deadletters/test_bus_place.py": 75,
    "integration/engine/test_real_engine.py": 75,
    "e2e/test_chaos.py": 70,
    "e2e/test_local_cloud.py": 70,
    "e2e/test_chain.py": 65,
    "e2e/test_dead_letters.py": 65,
    "e2e/test_alma.py": 65,
    "e2e/test_killed.py": 55,
    "integration/emulators/test_buses.py": 55,
    "integration/host/bus/test_functions.py": 45,
    "e2e/test_database.py": 40,
    "e2e/test_bus_steps.py": 40,
    "integration/alma_analytics/test_runs.py": 35,
    "integration/host/bus/test_container.py": 35,
    "e2e/test_variants.py": 30,
    "contract/test_digests.py": 30,
    "integration/alma_analytics/test_retry.py": 25,
    "integration/emulators/test_kill.py": 25,
    "integration/host/test_sleeping.py": 25,
    "e2e/test_two_stacks.py": 25,
    "integration/deadletters/test_poison_moves.py": 20,
    "contract/review/test_comment.py": 20,
}
