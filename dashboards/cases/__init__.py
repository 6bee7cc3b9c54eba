"""Cases: what becomes of alerts that need more than a verdict, shared by the provider's analysts and the hospital."""
