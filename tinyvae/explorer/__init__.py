"""The explorer: a trained model as one page that opens in a browser, without a server and without a network.

In reading order: ``rounding`` of the weights to a few bits, and ``cost``, what that takes from the bound; ``layout``,
the networks as the page evaluates them, and ``priors``; ``points``, what of the data stands in the page; ``packing`` of
numbers and text into HTML; ``page``, which puts all of it together with the page's own sources, in ``sources/``.

The room knows trained models, runs and data; it must not know any derivative, nor commands.
"""
