"""Fuzzing (模糊测试): every parser of what comes from outside, fed with what nobody would write.

``targets`` names the parsers with samples that are good, ``mutate`` spoils them, ``__main__`` runs a target within
bounds of time and memory. CI runs a few hundred inputs of a fixed seed; ``make fuzz`` goes on for as long as wanted.
"""
