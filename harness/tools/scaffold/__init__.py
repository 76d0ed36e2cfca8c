"""Create plugin packages and suites from templates. They are checked before they are written."""
