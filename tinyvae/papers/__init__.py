"""The papers' figures and tables: which trainings each of them needs, how these are carried out, what is drawn.

The room knows trainings, runs and drawings, and what was published; it must not know any derivative.
"""
