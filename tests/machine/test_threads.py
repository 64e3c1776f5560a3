"""The crew: every piece is done once, by whoever is free, and the result does not depend on how many there are."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time

import joblib
import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core.compiler_lock import global_compiler_lock
from threadpoolctl import threadpool_info

from tests.commands import python
from tests.machine.arrays import beside_twin, close, dtypes, random_arrays
from tinyvae import machine
from tinyvae.machine import blas, compiled, jobs, memory, plain, threads, work_sharing
from tinyvae.machine.threads import Crew, at_hand, current
from tinyvae.machine.work_sharing import APART, ARGUMENTS, ASLEEP, BELL, DONE, IS_OPEN, JOB, PIECES, TODO

CREWS = {size: Crew(size) for size in (1, 2, 5)}
sizes = st.sampled_from(sorted(CREWS))


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@given(sizes, st.integers(0, 40), st.sampled_from([1, 100, 3000, 9000]), dtypes)
def test_every_piece_is_done_once(size, R, D, dtype):
    weights, rows = random_arrays(0, dtype, R, (R, D))
    with CREWS[size]:
        for _ in range(5):
            close(*beside_twin("scale_rows", compiled.scale_rows, weights, rows.copy()), rtol=1 / 30, atol=0)


def test_a_helper_works_when_the_caller_does_not():
    """What a helper finds on the desk, it does, though the caller never comes back to it."""
    rows = np.ones((3, 5), np.float32)
    weights = np.array([2, 3, 4], np.float32)
    with Crew(2) as crew:
        work_sharing.put(crew.desk, weights, rows)
        work_sharing.put(crew.desk, rows, rows)
        crew.desk[[JOB, PIECES]] = jobs.SCALE_ROWS.at(rows.dtype), 1
        crew.desk[DONE] = 0
        crew.desk[TODO + APART] = 1
        wait_for(lambda: crew.desk[DONE] == 1)
    np.testing.assert_array_equal(rows, np.repeat(weights[:, None], 5, axis=1))


def asleep(crew):
    """How many of its threads sleep."""
    return int(crew.desk[ASLEEP::APART].sum())


def test_work_wakes_who_sleeps():
    """Once; nobody sits at this desk, and the test hears the bell."""
    desk, rows, weights = threads._new_desk(2), np.ones((2, 1), np.float32), np.array([2, 3], np.float32)
    for is_asleep in (False, True):
        work_sharing.put(desk, weights, rows)
        work_sharing.put(desk, rows, rows)
        desk[ASLEEP + APART] = is_asleep
        work_sharing.share(desk, jobs.SCALE_ROWS.at(rows.dtype), 1)
        desk[ARGUMENTS] = 0
        heard = [threads._acquire_lock(int(desk[BELL + APART]), 0) for _ in range(2)]
        assert heard == [is_asleep, False] and not desk[ASLEEP + APART]
    np.testing.assert_array_equal(rows, [[4], [9]])


def test_who_waits_sleeps():
    rows, weights = np.ones((900, 100), np.float32), np.full(900, 2, np.float32)
    with Crew(3) as crew:
        for _ in range(20):
            wait_for(lambda: asleep(crew) == 2)
            compiled.scale_rows(weights, rows)
        assert (rows == 2**20).all()
        wait_for(lambda: asleep(crew) == 2)
        before = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - before < 0.25


def test_a_sleeper_whose_time_is_up_takes_the_ring_that_comes_just_then():
    """Wherever the ring falls, none is left over: a thread that sleeps next is not woken by it."""
    rows, weights = np.ones((2, 1), np.float32), np.ones(2, np.float32)
    rng = np.random.default_rng(0)
    with Crew(2) as crew:
        for _ in range(200):
            time.sleep(rng.uniform(0.009, 0.012))  # about as long as the longest sleep
            compiled.scale_rows(weights, rows)
        wait_for(lambda: asleep(crew) == 1)
        before = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - before < 0.25  # one that was woken again and again would look and look


def test_a_loop_that_waits_pauses_on_arm64_too():
    """The word for it is one of that processor's, and makes a machine instruction."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    word, argument = memory.PAUSES["arm64"]
    module = llvm.parse_assembly(
        f"declare void @{word}(i32)\ndefine void @wait() {{\n call void @{word}(i32 {argument})\n ret void\n}}"
    )
    module.triple = "aarch64-unknown-linux-gnu"
    machine = llvm.Target.from_triple(module.triple).create_target_machine()
    assert "\tisb" in machine.emit_assembly(module)


def blas_threads():
    """The number of threads of each BLAS that is loaded."""
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_blas_has_one_thread_meanwhile_and_the_desk_is_at_hand():
    before = blas_threads()
    outside = at_hand()
    with CREWS[2] as crew:
        assert at_hand() is crew.desk is not outside
        assert set(blas_threads()) == {1}
        others = []
        thread = threading.Thread(target=lambda: others.append(at_hand()))
        thread.start()
        thread.join()
        assert others[0] is not crew.desk  # another thread works alone
    assert at_hand() is outside
    assert blas_threads() == before


def test_helpers_leave_with_their_crew():
    others = set(threading.enumerate())
    crew = Crew(4)
    helpers = set(threading.enumerate()) - others
    with crew:
        assert len(helpers) == 3 and all(helper.is_alive() for helper in helpers)
    del crew
    gc.collect()
    wait_for(lambda: not any(helper.is_alive() for helper in helpers))


def test_helpers_rest_when_the_crew_has_left():
    with Crew(2) as crew:
        compiled.scale_rows(np.ones(50, np.float32), np.ones((50, 500), np.float32))
    assert crew.desk[IS_OPEN] == 0
    time.sleep(0.2)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.2  # of half a second, if a helper were still looking


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_no_helpers_and_works_all_the_same():
    rows = np.ones((50, 2000), np.float32)
    with CREWS[5]:
        child = os.fork()
        if child == 0:
            compiled.scale_rows(np.full(50, 2, np.float32), rows)
            os._exit(0 if (rows == 2).all() else 1)
        assert os.waitpid(child, 0)[1] == 0


def in_a_fork(function):
    """Let a forked process call a function, which is to return true."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # its end, if it waits for what never comes
        result = False
        try:
            result = function()
        finally:
            os._exit(0 if result else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_crew_that_is_entered_in_a_forked_process_has_helpers_there():
    crew, rows = Crew(3), np.ones((50, 2000), np.float32)

    def enter():
        with crew:
            wait_for(lambda: asleep(crew) == 2)
            compiled.scale_rows(np.full(50, 2, np.float32), rows)
        return (rows == 2).all()

    in_a_fork(enter)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_forked_while_another_thread_has_a_crew_has_blas_to_itself():
    before, inside, leave = blas_threads(), threading.Event(), threading.Event()

    def work():
        with Crew(1):
            inside.set()
            leave.wait(60)

    def alone():
        is_free = blas_threads() == before
        with Crew(1):
            is_held = set(blas_threads()) == {1}
        return is_free and is_held and blas_threads() == before

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert inside.wait(20)
        in_a_fork(alone)
    finally:
        leave.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_forked_within_a_crew_s_block_has_one_thread_of_blas_until_its_end():
    before = blas_threads()
    with Crew(2) as crew:

        def within():
            is_held = set(blas_threads()) == {1}
            with machine.crew(2) as inner:
                is_held = is_held and inner is crew and set(blas_threads()) == {1}
            crew.__exit__(None, None, None)
            return is_held and blas_threads() == before

        in_a_fork(within)
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("lock", [blas._state_lock, global_compiler_lock._lock], ids=["BLAS's", "the compiler's"])
def test_a_fork_waits_until_another_thread_has_left_a_lock(lock):
    """In the forked process there is nobody who would."""
    taken = threading.Event()

    def work():
        with lock:
            taken.set()
            time.sleep(0.3)

    thread = threading.Thread(target=work)
    thread.start()
    assert taken.wait(20)
    in_a_fork(lambda: lock.acquire(blocking=False))
    thread.join()


OUTLIVES = """
import atexit, threading, time
import numpy as np
from tinyvae import machine


def work(size, when):
    rows = np.ones((2, 3), np.float32)
    with machine.crew(size):
        machine.scale_rows(np.full(2, 2, np.float32), rows)
    print(when, rows.sum(), flush=True)


def later():
    threading.main_thread().join()
    time.sleep(0.2)
    work(2, "after the main thread")


atexit.register(work, 1, "at exit")
threading.Thread(target=later).start()
work(2, "before")
"""


def test_a_thread_that_outlives_the_main_thread_goes_on_working(tmp_path):
    result = python("-c", OUTLIVES, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "before 12.0\nafter the main thread 12.0\nat exit 12.0\n"


def test_what_goes_wrong_in_blas_s_keeper_is_told_to_who_asked():
    def fail(holder, thread):
        raise OSError(holder)

    with pytest.raises(OSError, match="no such library"):
        blas._ask(fail, "no such library")
    with Crew(1):
        assert set(blas_threads()) == {1}


def test_what_is_computed_does_not_depend_on_the_number_of_threads():
    x, W, b = random_arrays(1, np.float32, (70, 300), (300, 90), 90)
    results = []
    for crew in CREWS.values():
        with crew:
            out, dW, db, dx = np.empty((70, 90), "f4"), np.empty_like(W), np.empty_like(b), np.empty_like(x)
            compiled.affine(x, W, b, out, True)
            compiled.affine_gradient(out, x, dW, db)
            compiled.affine_input_gradient(out, W, x, dx, True)
            results.append(b"".join(a.tobytes() for a in (out, dW, db, dx)))
    assert len(set(results)) == 1


def test_blocks_of_a_crew_may_stand_in_one_another():
    outside, before = at_hand(), [pool["num_threads"] for pool in threadpool_info()]
    with CREWS[2] as crew:
        with CREWS[2]:
            assert at_hand() is crew.desk
        assert at_hand() is crew.desk and crew.desk[IS_OPEN] == 1
        compiled.scale_rows(np.ones(3, np.float32), np.ones((3, 5), np.float32))
    assert at_hand() is outside and crew.desk[IS_OPEN] == 0
    assert [pool["num_threads"] for pool in threadpool_info()] == before


def test_blocks_of_the_plain_twin_too():
    crew, before = plain.crew(3), blas_threads()
    for _ in range(2):
        with crew, crew:
            assert set(blas_threads()) == {1}
        assert blas_threads() == before


def test_another_thread_waits_until_the_crew_is_free():
    entered = []

    def enter():
        with CREWS[2] as crew:
            entered.append(crew)

    thread = threading.Thread(target=enter)
    with CREWS[2]:
        thread.start()
        time.sleep(0.05)
        assert not entered
    thread.join(20)
    assert entered == [CREWS[2]]


def test_within_a_crew_s_block_it_is_that_crew_that_serves():
    assert current() is None
    with machine.crew(3) as outer:
        assert machine.crew(2) is machine.crew() is current() is outer
        with machine.crew(1):
            assert at_hand() is outer.desk
        assert at_hand() is outer.desk and outer.desk[IS_OPEN] == 1
        with CREWS[2] as other:  # one that is there already is another one
            assert current() is other is not outer and at_hand() is other.desk
        assert current() is outer and at_hand() is outer.desk
    assert current() is None and outer.desk[IS_OPEN] == 0
    assert machine.crew(2) is not outer and machine.crew(2).size == 2
    assert machine.crew().size == machine.available_cores()


def test_a_machine_of_many_cores_has_no_larger_crew_than_may_be_asked_for(monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 5000)
    assert machine.available_cores() == 1024


@pytest.mark.parametrize("crew", [compiled.crew, plain.crew], ids=["compiled", "plain"])
@pytest.mark.parametrize("size", [0, -1, 1.5, True, "2", 10**6])
def test_what_is_no_number_of_threads_is_refused(crew, size):
    with pytest.raises(ValueError, match=r"threads=.*: a whole number from 1 to 1024 is needed"):
        crew(size)


@pytest.mark.parametrize("crew", [Crew, plain.crew], ids=["compiled", "plain"])
def test_blas_is_held_until_the_last_of_several_threads_has_left(crew):
    """Whichever thread begins, in whatever order they end: BLAS's threads are the whole process's."""
    before, inside, leave = blas_threads(), [threading.Event() for _ in range(3)], [threading.Event() for _ in range(3)]

    def work(i):
        with crew(1):
            inside[i].set()
            leave[i].wait(20)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread, event in zip(threads, inside):
        thread.start()
        assert event.wait(20) and set(blas_threads()) == {1}
    for i in (0, 2, 1):
        assert set(blas_threads()) == {1}
        leave[i].set()
        threads[i].join()
    assert blas_threads() == before


INTERRUPTED = """
import sys, threading, time
import numpy as np
from threadpoolctl import threadpool_info
from tinyvae import VAE
from tinyvae.machine.threads import current

X = np.random.default_rng(0).random((200, 20))
vae = VAE(hidden=(5,), n_components=2, max_epochs=1, n_jobs=2, random_state=0).fit(X)
state = lambda: ([pool["num_threads"] for pool in threadpool_info()], threading.active_count())


def settled():  # helpers are told to go and need a moment; then there are this thread and the keeper
    deadline = time.monotonic() + 20
    while threading.active_count() > 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    return state()


features, before = vae.transform(X), settled()
for _ in range(int(sys.argv[1])):
    try:
        print("go", flush=True)
        while True:
            vae.transform(X)
    except KeyboardInterrupt:
        pass
after = settled()
assert after == before and current() is None, (before, after, current())
assert (vae.transform(X) == features).all() and settled() == before
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGINT can be sent there")
def test_ctrl_c_again_and_again_leaves_neither_blas_at_one_thread_nor_helpers_behind():
    rng, presses = np.random.default_rng(0), 400
    command = [sys.executable, "-c", INTERRUPTED, str(presses)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(presses):
            assert process.stdout.readline() == "go\n", process.stderr.read()
            time.sleep(rng.uniform(0, 0.006))
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, process.stderr.read()


FORKED = """
import os, sys, threading, time
import numpy as np
from tinyvae import VAE

X = np.random.default_rng(0).random((500, 64)).astype(np.float32)
settings = dict(hidden=(50,), max_epochs=1, random_state=0, n_jobs=2)
vae, fits = VAE(**settings).fit(X), 0
features = vae.transform(X)


def train():
    global fits
    while True:
        VAE(**settings).fit(X)
        fits += 1


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


threading.Thread(target=train, daemon=True).start()
for i in range(25):
    time.sleep(0.01 + 0.003 * (i % 7))
    child = os.fork()
    if child == 0:
        same = (vae.transform(X) == features).all() and (VAE(**settings).fit(X).transform(X) == features).all()
        os._exit(0 if same else 1)
    ended = []
    wait_for(lambda: ended.append(os.waitpid(child, os.WNOHANG)) or ended[-1][0])
    assert ended[-1][1] == 0
    before = fits
    wait_for(lambda: fits > before)
print("done", flush=True)
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_another_thread_trains_hangs_neither_of_the_two(tmp_path):
    """A threaded product of OpenBLAS, in the midst of which the process is forked, never ends."""
    result = python("-W", "ignore", "-c", FORKED, cwd=tmp_path)
    assert result.returncode == 0 and result.stdout == "done\n", result.stderr


def test_accelerate_is_told_to_keep_to_the_threads_of_the_crew(monkeypatch):
    """It is asked in each of them: its number of threads is the calling thread's."""
    told = []
    monkeypatch.setattr(blas, "_accelerate", lambda: lambda threads: told.append((threading.get_ident(), threads)))
    with Crew(3) as crew:
        with crew:
            pass
        assert told.count((threading.get_ident(), blas.ONE)) == 2  # in the beginning, and now
    deadline = time.monotonic() + 20
    while len({thread for thread, _ in told}) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [threads for thread, threads in told if thread != threading.get_ident()] == [blas.ONE] * 2
    assert told[-1] == (threading.get_ident(), blas.SEVERAL)
