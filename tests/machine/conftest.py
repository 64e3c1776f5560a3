"""Where nothing is compiled, the tests of compiled code are skipped, module by module, and the report says why."""

import pytest

PLAIN_TOO = ("test_plain.py", "test_noise.py")  # what these test is there all the same


def missing():
    """Why there is no compiler, or nothing."""
    try:
        from numba import config
    except ImportError:
        return "Numba is not installed"
    return "NUMBA_DISABLE_JIT is set" if config.DISABLE_JIT else ""


class CompiledOnly(pytest.Module):
    """A module that is not even imported."""

    def collect(self):
        pytest.skip(f"{missing()}, and this is about compiled code", allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    """Pytest's question how to collect a module; None for the usual way."""
    if module_path.name not in PLAIN_TOO and missing():
        return CompiledOnly.from_parent(parent, path=module_path)
    return None
