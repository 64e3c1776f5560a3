"""Memory by its address, for kernels: arrays that another thread left there, atomic access, BLAS on parts of arrays.

What Numba has no word for, each in a few lines. Call these from a Numba kernel only.

All threads see the atomic accesses in one and the same order: of two threads that each write a place and then read the
other's, one at least finds what the other has written.
"""

import platform

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.linalg import ensure_blas

from tinyvae.machine.elementary import EXACT

# Processors' words for a loop that waits, as LLVM calls them, and their arguments. That of arm64 is yield, which does
# nothing on most; a barrier for instructions takes some cycles.
PAUSES = {
    **dict.fromkeys(["x86_64", "amd64"], ("llvm.x86.sse2.pause",)),
    **dict.fromkeys(["arm64", "aarch64"], ("llvm.aarch64.isb", 15)),
}

ensure_blas()  # loads SciPy's BLAS, the one that Numba calls, so that threadpoolctl can limit it


def _place(context, builder, signature, arguments):
    """Where element i of an array stands, for ``arguments`` that begin with (array, i)."""
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return cgutils.get_item_pointer(context, builder, signature.args[0], array, [arguments[1]])


@intrinsic
def load(typing_context, numbers, i):
    """numbers[i] as it is in memory now; of a plain ``numbers[i]`` in a loop the compiler keeps what it read once."""

    def generate(context, builder, signature, arguments):
        return builder.load_atomic(_place(context, builder, signature, arguments), "seq_cst", 8)

    return types.int64(numbers, i), generate


@intrinsic
def store(typing_context, numbers, i, value):
    """numbers[i] = value; whoever loads it finds all that was written before."""

    def generate(context, builder, signature, arguments):
        builder.store_atomic(arguments[2], _place(context, builder, signature, arguments), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(numbers, i, types.int64), generate


@intrinsic
def add(typing_context, numbers, i, value):
    """numbers[i] += value, in one go; returns what was there before."""

    def generate(context, builder, signature, arguments):
        place = _place(context, builder, signature, arguments)
        return builder.atomic_rmw("add", place, arguments[2], "seq_cst")

    return types.int64(numbers, i, types.int64), generate


@intrinsic
def exchange(typing_context, numbers, i, value):
    """numbers[i] = value, in one go; returns what was there before."""

    def generate(context, builder, signature, arguments):
        place = _place(context, builder, signature, arguments)
        return builder.atomic_rmw("xchg", place, arguments[2], "seq_cst")

    return types.int64(numbers, i, types.int64), generate


@intrinsic
def pause(typing_context):
    """Tell the processor, where it has a word for it, that this is a loop that waits: leave the core to others."""

    def generate(context, builder, signature, arguments):
        word, *numbers = PAUSES.get(platform.machine().lower(), (None,))
        if word:
            constants = [ir.IntType(32)(number) for number in numbers]
            kind = ir.FunctionType(ir.VoidType(), [constant.type for constant in constants])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, word), constants)
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def call(typing_context, function, desk, piece):
    """Call the function at an address, as ``work_sharing.Job`` compiles it, with an array's address, and a number.

    Returns: whether it came to its end (``code_cache.callback``).
    """

    def generate(context, builder, signature, arguments):
        word, anything = ir.IntType(64), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(word, [anything, word, anything])
        pointer = builder.inttoptr(arguments[0], kind.as_pointer())
        return builder.call(pointer, [builder.inttoptr(arguments[1], anything), arguments[2], anything(None)])

    return types.int64(types.int64, types.int64, types.int64), generate


@intrinsic
def _pointer(typing_context, address, like):
    """An address as a pointer of the type of another."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return like(types.int64, like), generate


@intrinsic
def pointer(typing_context, address):
    """An address as a pointer to no type."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.voidptr(types.int64), generate


@njit(**EXACT)
def matrix_at(address, rows, columns, like):
    """The array (rows, columns) that stands at an address, as long as whoever gave it keeps it.

    Its numbers are of the type to which the pointer ``like`` points.
    """
    return carray(_pointer(address, like), (rows, columns))


# C = alpha op(A) op(B) + beta C in column order, as SciPy's BLAS has it: kind, transa, transb, m, n, k, alpha, A, lda,
# B, ldb, beta, C, ldc. It is what Numba's own np.dot calls, on whole arrays.
_xxgemm = types.ExternalFunction(
    "numba_xxgemm",
    types.intc(
        *[types.char] * 3, *[types.intp] * 3, types.voidptr, types.voidptr, types.intp,
        types.voidptr, types.intp, types.voidptr, types.voidptr, types.intp,
    ),
)  # fmt: skip
NO, YES = np.int8(ord("n")), np.int8(ord("t"))
SINGLE, DOUBLE = np.int8(ord("s")), np.int8(ord("d"))


@njit(**EXACT)
def gemm(a_transposed, b_transposed, m, n, k, a, a_width, b, b_width, out, out_width, number, add=False):
    """out = op(a) op(b), or with ``add`` out += that, for op(a) (m, k), op(b) (k, n), out (m, n), parts of arrays.

    Args:
        a_transposed, b_transposed: NO, or YES if a is (k, m), b is (n, k).
        a, b, out: the addresses of their first numbers.
        a_width, b_width, out_width: the lengths of the rows that they are parts of.
        number: the type of the numbers, float32 or float64.
    """
    constants = np.array([1, add], number)
    size = constants.itemsize
    # the transposes, in BLAS's column order: outᵀ = op(b)ᵀ op(a)ᵀ
    _xxgemm(
        SINGLE if size == 4 else DOUBLE, b_transposed, a_transposed, n, m, k,
        pointer(constants.ctypes.data), pointer(b), b_width, pointer(a), a_width,
        pointer(constants.ctypes.data + size), pointer(out), out_width,
    )  # fmt: skip
    return constants[0]  # which keeps the array alive until here
