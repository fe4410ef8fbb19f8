/** /join/<lesson>: a school watches. */
import { JoinPage } from './join/page'
import { keepLinkToken } from './lib/auth'
import { pathName } from './lib/lesson'
import { startShell } from './lib/shell'

keepLinkToken()
startShell('join')
void new JoinPage(pathName(location.pathname)).start()
