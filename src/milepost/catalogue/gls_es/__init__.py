"""GLS Spain, by the web service it has had since it was ASM."""
