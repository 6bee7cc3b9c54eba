"""The control plane of detection: rules, filters, mutes … as rows on ``tables``, in force within seconds."""
