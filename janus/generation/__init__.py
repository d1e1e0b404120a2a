"""What a request may ask for, how an id is chosen, and what comes back."""
