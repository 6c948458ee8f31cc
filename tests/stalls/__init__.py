"""Requests of odd shapes, and what each costs whoever sends something small beside it.

`make stalls` tries one after the other for ten minutes; a shape is known by its seed.
"""
