"""exp and log with the same last bits on every machine.

The C library, numpy and LLVM choose a version of these by the processor (FMA, AVX-512), and the versions
differ in the last bit. Here they are sums and products of doubles, which IEEE 754 fixes. The method and
its constants are those of fdlibm (e_exp.c, e_log.c): errors are below one unit in the last place.
Trap: `fastmath` would undo this. Cost: about 5 ns a number.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.blocks.jit import kernel
from curation.kernels.buffers import readonly

Floats = npt.NDArray[np.float64]
_PER_LN2 = 1.4426950408889634  # 1 / ln 2
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_P = (
    1.66666666666666019037e-01,
    -2.77777777770155933842e-03,
    6.61375632143793436117e-05,
    -1.65339022054652515390e-06,
    4.13813679705723846039e-08,
)
_LG = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)


@njit
def exp_of(x):  # type: ignore[no-untyped-def]
    """e**x of one number; infinite above 709.78, 0 below -745.13."""
    if x > 709.782712893384:
        return math.inf
    if x < -745.13321910194122:
        return 0.0
    k = math.floor(x * _PER_LN2 + 0.5)
    high = x - k * _LN2_HIGH
    low = k * _LN2_LOW
    r = high - low
    t = r * r
    c = r - t * (_P[0] + t * (_P[1] + t * (_P[2] + t * (_P[3] + t * _P[4]))))
    return math.ldexp(1.0 - ((low - (r * c) / (2.0 - c)) - high), int(k))


@njit
def log_of(x):  # type: ignore[no-untyped-def]
    """Natural logarithm of one number above 0."""
    mantissa, k = math.frexp(x)
    if mantissa < 0.7071067811865476:
        mantissa *= 2.0
        k -= 1
    f = mantissa - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    r = w * (_LG[1] + w * (_LG[3] + w * _LG[5])) + z * (
        _LG[0] + w * (_LG[2] + w * (_LG[4] + w * _LG[6]))
    )
    half = 0.5 * f * f
    return k * _LN2_HIGH - ((half - (s * (half + r) + k * _LN2_LOW)) - f)


def sigmoid(logit: Floats) -> Floats:
    """1 / (1 + e**-logit): float64[n].

    >>> sigmoid(np.array([0.0, 800.0, -800.0])).tolist()
    [0.5, 1.0, 0.0]
    """
    return _sigmoid(readonly(np.ascontiguousarray(logit, np.float64)))


def odds(logit: Floats) -> Floats:
    """e**logit, at most 1: float64[n].

    >>> odds(np.array([0.0, 800.0, -800.0])).tolist()
    [1.0, 1.0, 0.0]
    """
    return _odds(readonly(np.ascontiguousarray(logit, np.float64)))


def powers(base: Floats, exponent: float) -> Floats:
    """base**exponent of numbers above 0: float64[n].

    >>> powers(np.array([1.0, 0.5]), -2.0).tolist()
    [1.0, 4.0]
    """
    return _powers(readonly(np.ascontiguousarray(base, np.float64)), float(exponent))


@kernel
def _sigmoid(logit):  # type: ignore[no-untyped-def]
    out = np.empty(len(logit), np.float64)
    for i in range(len(out)):
        out[i] = 1.0 / (1.0 + exp_of(-logit[i]))
    return out


@kernel
def _odds(logit):  # type: ignore[no-untyped-def]
    out = np.empty(len(logit), np.float64)
    for i in range(len(out)):
        out[i] = exp_of(min(0.0, logit[i]))
    return out


@kernel
def _powers(base, exponent):  # type: ignore[no-untyped-def]
    out = np.empty(len(base), np.float64)
    for i in range(len(out)):
        out[i] = exp_of(exponent * log_of(base[i]))
    return out
