"""Service of OpenSLO: what SLOs are about; not the Service of the core group."""
