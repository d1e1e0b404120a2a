"""From people's words and pictures to the exact token ids that each checkpoint was trained on."""
