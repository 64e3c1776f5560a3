"""The derivation: pairs of adjacent functions, ``thing`` and ``thing_backward``, each with its equation.

In reading order: ``mlp``, ``networks``, ``gaussian``, ``likelihoods``, ``priors``, ``bounds``, ``model``; below them
``shapes`` (what is refused) and ``parameters`` (one flat vector with named views). The room knows mathematics and
arrays; it must not know files, clocks, threads or how work is shared: it calls kernels at the machine room's door.
"""
