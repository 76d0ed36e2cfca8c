"""Is the method right at the rate it states? On recorded noise, and on this machine now."""
