"""What `relook doctor` looks at: each check says whether it is well, and the mend where not."""
