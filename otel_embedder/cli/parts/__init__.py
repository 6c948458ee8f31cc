"""What several commands have in common: options, and how is asked, told and printed."""
