"""The workshop: the loop that trains a model, its optimisers, and all that is done with a model that is trained.

``loop`` makes a ``Fitted``; evaluation, figures, the estimator and the papers take one. The room knows models, data,
runs and drawings; it must not know any derivative, nor what is behind the machine room's door.
"""
