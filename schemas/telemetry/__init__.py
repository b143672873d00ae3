"""What every process tells of itself: structured lines, metrics, spans. Imports nothing but the standard
library and `schemas`; what an extra must bring is loaded when a setting asks for it.

Must never make a job wait: whatever is told is put aside in memory, written by threads of its own, and
dropped and counted when it cannot be written as fast as it comes.
"""
