"""Who is asking: people, passwords, sessions and what a person may do."""
