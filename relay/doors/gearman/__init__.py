"""The Gearman door: clients and workers that speak Gearman, on the same calls and jobs as all others.

`packets` and `words` read and write what is on the wire, without input or output; `README.md` is the protocol
as this door speaks it, packet by packet.
"""
