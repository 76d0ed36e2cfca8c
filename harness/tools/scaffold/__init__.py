"""What a plugin or a suite begins with: files written from templates, checked before they are handed over."""
