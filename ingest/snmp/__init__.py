"""SNMP notifications as a receiver reads them: BER, the messages of v1, v2c and v3, and the security of v3 (USM).

Own code rather than a library: docs/decisions/0019-snmp-and-flow-decoders.md says why.
"""
