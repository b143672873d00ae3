"""Who may listen where: an address beyond this machine wants a lock, or a word that it shall have none."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def why_not(setting: str, address: str, keys: str, *, locked: bool, may_be_open: bool) -> str | None:
    """Why a service must not listen there, as a sentence; None if it may.

    Args:
        setting: Of the address; with `_open` behind it, the one that says yes to no lock.
        address: host:port.
        keys: What would lock it, for people.
        locked: Whether something does.
        may_be_open: Whether it was told that nothing need.
    """
    if locked or may_be_open or is_loopback(address.rpartition(":")[0]):
        return None
    return (
        f"{setting} must be a loopback address while there are no tokens, got {address}; set {keys}, or"
        f" {setting}_open to yes if whoever reaches it may do everything"
    )
