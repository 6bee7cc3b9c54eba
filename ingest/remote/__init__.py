"""Remote configuration: the provider signs a collector's sources, the collector tries them, and goes back if worse.

Off unless the hospital names the provider's public key in its own settings (``collector.configured_by``).
docs/operator/remote-configuration.md tells what the provider may say and what stays local.
"""
